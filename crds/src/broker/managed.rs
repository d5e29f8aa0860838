//! `spec.broker.redis.managed`: a Redis that the operator runs.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::Resources;

/// The operator runs one Redis for this stream.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.replicas) || self.topology == 'Replicated'").message("broker.redis.managed.replicas is only for topology Replicated: set managed.topology to Replicated, or leave replicas out"))]
pub struct Managed {
    /// The volume that holds the log.
    #[serde(default)]
    pub storage: Storage,

    /// Compute resources of the Redis container. Default: requests of 100m CPU and 128Mi, a memory limit
    /// of 512Mi. Redis itself is told to keep under three quarters of the memory limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// What Redis writes to its volume. Default AppendOnly.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("broker.redis.managed.persistence can't be changed in place: make a new stream with the other persistence and move the publishers over"))]
    pub persistence: Persistence,

    /// One Redis, or several of which one is the primary. Default Standalone.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("broker.redis.managed.topology can't be changed in place: make a new stream with the other topology and move the publishers over"))]
    pub topology: Topology,

    /// For topology Replicated: how many Redis pods, one of them the primary, each with a Sentinel beside it. 3 or 5, so
    /// that a majority can agree. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self == 3 || self == 5").message("broker.redis.managed.replicas must be 3 or 5: an odd number, so that a majority of the Sentinels can agree on a primary"))]
    pub replicas: Option<i32>,

    /// The image of Redis or Valkey, 7 or newer. Default: the one that the operator was installed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub image: Option<String>,
}

/// What Redis writes to its volume.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// Every write, synced each second: the log outlives the pod and its node.
    #[default]
    AppendOnly,
    /// Nothing, and there is no volume: the log ends with its pod, which subscribers are told by `event: reset`; with
    /// topology Replicated it ends with the last of the pods.
    None,
}

/// One Redis, or several.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// One Redis: while its pod restarts, publishers get 503 and subscribers wait.
    #[default]
    Standalone,
    /// A primary and its replicas, with Sentinels that make another one the primary when it fails.
    Replicated,
}

/// The volume that holds the log.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("broker.redis.managed.storage can't be changed in place: make a new stream with the new storage and move the publishers over"))]
pub struct Storage {
    /// The size of the volume, a quantity. Default 1Gi.
    #[serde(default = "default_size")]
    #[x_kube(validation = Rule::new("isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('16Mi')) >= 0").message("storage.size must be a quantity of at least 16Mi, for example 1Gi"))]
    pub size: IntOrString,

    /// The StorageClass. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
}

fn default_size() -> IntOrString {
    IntOrString::String("1Gi".into())
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: default_size(), class_name: None }
    }
}
