//! `status`: what the operator last saw.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What the operator last saw.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SseStreamStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Nodes there are.
    #[serde(default)]
    pub replicas: i32,

    /// Nodes that are ready.
    #[serde(default)]
    pub ready_replicas: i32,

    /// The label selector of the nodes' pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,

    /// Where to subscribe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// Where to publish, inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_url: Option<String>,

    /// Ready, Progressing, Degraded, BrokerReady, Exposed: each says in its message what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
