//! `spec.exposure.edge`: an nginx of our own in front of the nodes.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Service;
use crate::fleet::Resources;

/// An nginx of our own in front of the nodes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || has(self.host)").message("exposure.edge.tls needs exposure.edge.host: a certificate is for a name"))]
pub struct Edge {
    /// How many of it run. Default 2.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,

    /// The host name that leads to it, as status.url shows it. Default: the address of its Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')").message("exposure.edge.host must be a host name without scheme, port or path, for example events.example.com"))]
    pub host: Option<String>,

    /// The Service in front of it.
    #[serde(default)]
    pub service: Service,

    /// Serve by TLS, and by nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<EdgeTls>,

    /// Compute resources of each. Default: requests of 50m CPU and 32Mi, a memory limit of 256Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// The image: nginx 1.20 or newer that runs as any user, with a shell. Default: what the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub image: Option<String>,
}

fn two() -> i32 {
    2
}

impl Default for Edge {
    fn default() -> Self {
        Self { replicas: two(), host: None, service: Service::default(), tls: None, resources: None, image: None }
    }
}

/// The edge's certificate.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EdgeTls {
    /// The Secret of type kubernetes.io/tls, in the stream's namespace. A renewed one is taken over within two minutes.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}
