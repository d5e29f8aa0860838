//! `spec.exposure`: how the stream is reached from outside the cluster.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the stream is reached from outside the cluster.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// An Ingress that does not buffer and does not cut long streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,

    /// How the operator sees whether the ways in let a stream through as it should be: it subscribes by them itself.
    #[serde(default, skip_serializing_if = "Probe::is_default")]
    pub probe: Probe,
}

/// How the operator sees whether the ways in let a stream through as it should be.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Whether it does. What it finds is the condition StreamVerified. Default true.
    #[serde(default = "enabled")]
    pub enabled: bool,

    /// Where the operator connects to, if that is not where subscribers do: ADDRESS:PORT, for networks in which it can't
    /// reach the public address. It still asks for the stream's host name. Default: the address that the way in has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    #[x_kube(validation = Rule::new("self.matches('^([a-zA-Z0-9.-]+|\\\\[[0-9a-fA-F:.]+\\\\]):[1-9][0-9]{0,4}$')").message("exposure.probe.address must be an address and a port, for example ingress.example.svc:80 or [2001:db8::1]:443"))]
    pub address: Option<String>,
}

impl Probe {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn enabled() -> bool {
    true
}

impl Default for Probe {
    fn default() -> Self {
        Self { enabled: enabled(), address: None }
    }
}

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
    /// Traefik, for Ingresses of its own class.
    Traefik,
}

/// Serve the host by TLS.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IngressTls {
    /// The Secret of type kubernetes.io/tls, in the stream's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}
