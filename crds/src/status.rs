//! `status`: what the operator last saw.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::autoscaling::AutoscalingStatus;

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

    /// Connections that are open, on all nodes together; as of half a minute ago, or of up to five if it has hardly
    /// changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<i64>,

    /// Events that the stream's log has had, as old as `connections`. It begins anew when the log does: with another
    /// broker, or one that lost its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_published: Option<i64>,

    /// The label selector of the nodes' pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,

    /// What autoscaling has decided, in mode Operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingStatus>,

    /// Where to subscribe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// Where to publish, inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_url: Option<String>,

    /// The probe by which StreamVerified came to what it says. While the next ones find the same, it is renewed once a
    /// day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_probe: Option<LastProbe>,

    /// Ready, Progressing, Degraded, BrokerReady, Exposed, StreamVerified, Autoscaling where it is on, and Paused
    /// while it is: each says in its message what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A subscription of the operator's own by the public path.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LastProbe {
    /// When it was.
    pub time: Time,

    /// What it found, in a word: Streaming, or the reason of StreamVerified.
    pub result: String,

    /// From the request until the head of the answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<i64>,

    /// Between comments that were sent 100 ms apart, in milliseconds: the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing_ms: Option<i64>,

    /// How long a stream stayed open that had little to say, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_ms: Option<i64>,
}
