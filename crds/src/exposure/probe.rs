//! `spec.exposure.probe`: how the operator looks whether the ways in let a stream through.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

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
    pub(super) fn is_default(&self) -> bool {
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
