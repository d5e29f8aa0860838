//! `spec.fleet`: the nodes and the pods they run in.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Duration, cores, seconds};

/// The nodes: how many, and how they are rolled out.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// How many nodes serve the stream. `kubectl scale sse/NAME --replicas=N` sets it too. With `autoscaling` it is what
    /// that begins with, or writes. Default 2.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,

    /// How a node that is to stop lets go of its connections.
    #[serde(default)]
    pub drain: Drain,

    /// What the nodes' pods are made of.
    #[serde(default)]
    pub pod: Pod,
}

fn default_replicas() -> i32 {
    2
}

impl Default for Fleet {
    fn default() -> Self {
        Self { replicas: default_replicas(), drain: Drain::default(), pod: Pod::default() }
    }
}

/// How a node that is to stop lets go of its connections: it turns not ready, waits for its endpoint to
/// leave the proxies, then closes streams at the declared rate, which all nodes share.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// The longest a stop may take; what is still open then is closed at once. A Go duration. Default 60s.
    #[serde(default = "default_timeout")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('5s') && duration(self) <= duration('1h')").message("drain.timeout must be from 5s to 1h, for example 60s"))]
    pub timeout: Duration,

    /// How many connections are closed each second by all nodes that stop at the time together, so that the rest of
    /// the fleet is not met by a wave of reconnects. What the timeout leaves no room for is closed at its end.
    /// Default 200.
    #[serde(default = "default_rate")]
    #[schemars(range(min = 1, max = 100_000))]
    pub reconnects_per_second: u32,
}

fn default_timeout() -> Duration {
    seconds(60)
}

fn default_rate() -> u32 {
    200
}

impl Default for Drain {
    fn default() -> Self {
        Self { timeout: default_timeout(), reconnects_per_second: default_rate() }
    }
}

/// What the nodes' pods are made of. They pass the `restricted` Pod Security level as they are, and are
/// spread over hosts and zones.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// The image of `sse-node`. Default: the one that the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,

    /// Compute resources of the node's container. Default: requests of 100m CPU and 64Mi, a memory limit
    /// of 512Mi, and no CPU limit, as throttling would bunch events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Labels that a host must have to run a node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of hosts that the nodes tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,

    /// More annotations for the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a node's container requests of CPU if nothing is said, in cores.
const USUAL_CPU: f64 = 0.1;

impl Pod {
    /// The cores that a node's container requests. None are counted as a few, so that nothing is divided by 0.
    pub fn requested_cpu(&self) -> f64 {
        let given = self.resources.as_ref().and_then(|resources| resources.requests.get("cpu"));
        given.and_then(cores).filter(|cores| *cores > 0.0).unwrap_or(USUAL_CPU)
    }
}

/// Compute resources, as in any container:
/// <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What the scheduler reserves: `cpu`, `memory`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, IntOrString>,

    /// What the container may not exceed: `cpu`, `memory`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, IntOrString>,
}
