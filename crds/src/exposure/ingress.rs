//! `spec.exposure.ingress`: which controller serves the Ingress, by which name, and with which certificate.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An Ingress that does not buffer and does not cut long streams.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || has(self.host)").message("exposure.ingress.tls needs exposure.ingress.host: a certificate is for a name"))]
pub struct Ingress {
    /// Which controller serves the Ingress: each is told in its own way not to buffer.
    pub controller: Controller,

    /// The IngressClass. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,

    /// The host name of the stream. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')").message("exposure.ingress.host must be a host name without scheme, port or path, for example events.example.com"))]
    pub host: Option<String>,

    /// Serve the host by TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<IngressTls>,

    /// More annotations for the Ingress; they win over the ones that ssefleet sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An ingress controller that ssefleet knows how to keep from buffering.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// kubernetes/ingress-nginx, and Traefik's provider for its annotations.
    IngressNginx,
    /// NGINX Ingress Controller of NGINX Inc (F5), whose annotations begin with nginx.org.
    NginxInc,
    /// Traefik, for Ingresses of its own class.
    Traefik,
    /// HAProxy Kubernetes Ingress Controller of HAProxy Technologies, whose annotations begin with haproxy.org.
    HAProxy,
    /// Contour.
    Contour,
}

/// Serve the host by TLS.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.issuer) || !has(self.clusterIssuer)").message("exposure.ingress.tls takes one of issuer and clusterIssuer: a certificate has one issuer"))]
pub struct IngressTls {
    /// The Secret of type kubernetes.io/tls, in the stream's namespace. With an issuer, cert-manager makes it.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,

    /// The cert-manager Issuer, in the stream's namespace, that makes the Secret and renews it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub issuer: Option<String>,

    /// The cert-manager ClusterIssuer that makes the Secret and renews it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub cluster_issuer: Option<String>,
}
