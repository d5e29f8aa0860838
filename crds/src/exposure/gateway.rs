//! `spec.exposure.gateway`: an HTTPRoute (gateway.networking.k8s.io/v1), and what an implementation needs besides.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An HTTPRoute of the Gateway API without timeouts.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// The Gateways that the route joins; at least one.
    #[schemars(length(min = 1, max = 32))]
    pub parent_refs: Vec<ParentRef>,

    /// The host names of the stream. Default: those of the Gateways' listeners.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    #[x_kube(validation = Rule::new("self.all(name, name.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))").message("exposure.gateway.hostnames must be host names without scheme, port or path, for example events.example.com"))]
    pub hostnames: Vec<String>,

    /// What runs the Gateway: some need an object of their own besides the route. Default Standard.
    #[serde(default)]
    pub implementation: Implementation,
}

/// One Gateway that the route joins.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// The Gateway's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The Gateway's namespace. Default: the stream's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,

    /// The name of one listener of the Gateway. Default: all that take the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,

    /// The port of the listeners to join. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
}

/// What runs the Gateway.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Implementation {
    /// Any: the HTTPRoute alone, with timeouts.request 0s, which is "no timeout".
    #[default]
    Standard,
    /// Envoy Gateway: a BackendTrafficPolicy too, which balances by open streams and keeps browsers when no node
    /// answers.
    EnvoyGateway,
    /// NGINX Gateway Fabric: a ProxySettingsPolicy too, which turns buffering off.
    NginxGatewayFabric,
    /// Traefik: a Middleware too, which keeps browsers when no node answers.
    Traefik,
    /// Istio: it follows the route's timeouts by itself.
    Istio,
}
