//! `spec.exposure.service`: a Service for the world, and the part of it that the edge has as well.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Service for the world.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type == 'LoadBalancer' || !has(self.loadBalancerClass)").message("loadBalancerClass is for type: LoadBalancer"),
    validation = Rule::new("self.type != 'ClusterIP' || !has(self.externalTrafficPolicy)").message("externalTrafficPolicy is for type: LoadBalancer or NodePort: a ClusterIP has no traffic from outside"),
    validation = Rule::new("self.type != 'ClusterIP' || !has(self.nodePort)").message("nodePort is for type: NodePort or LoadBalancer")
)]
pub struct Service {
    /// LoadBalancer, NodePort or ClusterIP. Default LoadBalancer.
    #[serde(rename = "type", default)]
    pub type_: ServiceType,

    /// The port that clients connect to. Default 80, and 443 for an edge with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,

    /// The same port on every host. Default: one that the cluster chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub node_port: Option<i32>,

    /// Annotations, by which many load balancers are told what to do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// Local keeps the client's address and spares a hop; Cluster, the default, spreads over all pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,

    /// Which load balancer, where there are several. It can't be changed later. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub load_balancer_class: Option<String>,
}

/// How a Service is reached.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceType {
    /// At an address that the cluster's load balancer gives it.
    #[default]
    LoadBalancer,
    /// At one port of every host.
    NodePort,
    /// Inside the cluster, and where its addresses are routed.
    ClusterIP,
}

impl ServiceType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoadBalancer => "LoadBalancer",
            Self::NodePort => "NodePort",
            Self::ClusterIP => "ClusterIP",
        }
    }
}

/// Where traffic from outside may go.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// To any pod.
    Cluster,
    /// To pods of the host that it came to.
    Local,
}

impl TrafficPolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}
