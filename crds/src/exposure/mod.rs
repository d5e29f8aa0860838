//! `spec.exposure`: how the stream is reached from outside the cluster. Each member is one way in, and several may be
//! set at once.

mod edge;
mod gateway;
mod ingress;
mod probe;
mod service;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    edge::{Edge, EdgeTls},
    gateway::{Gateway, Implementation, ParentRef},
    ingress::{Controller, Ingress, IngressTls},
    probe::Probe,
    service::{Service, ServiceType, TrafficPolicy},
};

/// How the stream is reached from outside the cluster. Several of its members may be set at once.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.edge) || !has(self.edge.tls) || (!has(self.ingress) && !has(self.gateway))").message("exposure.edge.tls can't stand beside exposure.ingress or exposure.gateway, which lead to the edge by plain HTTP: end TLS there, and remove exposure.edge.tls"))]
pub struct Exposure {
    /// An Ingress that does not buffer and does not cut long streams. With `edge`, it leads to that, which then answers
    /// browsers while no node does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,

    /// An HTTPRoute of the Gateway API without timeouts, for Gateways that are there already. With `edge`, it leads to
    /// that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,

    /// An nginx of our own in front of the nodes, set up for streams: for clusters without a controller, and in front
    /// of the nodes for controllers that cannot keep browsers by themselves when no node answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<Edge>,

    /// A Service for the world, straight to the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,

    /// How the operator sees whether the ways in let a stream through as it should be: it subscribes by them itself.
    #[serde(default, skip_serializing_if = "Probe::is_default")]
    pub probe: Probe,
}

impl Exposure {
    /// Whether there is any way in.
    pub fn is_open(&self) -> bool {
        self.ingress.is_some() || self.gateway.is_some() || self.edge.is_some() || self.service.is_some()
    }
}
