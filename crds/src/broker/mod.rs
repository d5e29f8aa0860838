//! `spec.broker`: where events are kept.

mod external;
mod managed;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    external::{External, ExternalTls, ExternalTopology, Sentinel},
    managed::{Managed, Persistence, Storage, Topology},
};
use crate::units::{Duration, seconds};

/// Where events are kept, so that every node serves the same log. Exactly one of its members.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.memory) != has(self.redis)").message("broker needs exactly one of memory and redis"))]
pub struct Broker {
    /// Events live in the node's memory and end with it: for one node, tests and laptops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,

    /// Events live in a Redis stream (Redis or Valkey, 7 or newer), the same for every node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Redis>,
}

impl Default for Broker {
    fn default() -> Self {
        Self { memory: None, redis: Some(Redis { managed: Some(Managed::default()), ..Redis::default() }) }
    }
}

/// Nothing to set.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct Memory {}

/// A Redis that the operator runs, or one of yours. Exactly one of its members.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.managed) != has(self.external)").message("broker.redis needs exactly one of managed and external"),
    validation = Rule::new("!has(self.managed) || self.managed.topology == 'Replicated' || !has(self.confirm) || !has(self.confirm.replicas) || self.confirm.replicas == 0").message("a managed Redis of topology Standalone has no replica that could confirm: set broker.redis.managed.topology to Replicated, or broker.redis.confirm.replicas to 0"),
    validation = Rule::new("!has(self.managed) || !has(self.confirm) || !has(self.confirm.replicas) || self.confirm.replicas < (has(self.managed.replicas) ? self.managed.replicas : 3)").message("broker.redis.confirm.replicas must be less than managed.replicas, of which one is the primary itself")
)]
pub struct Redis {
    /// The operator runs one Redis for this stream, with a password of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Managed>,

    /// A Redis that is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,

    /// A message that is PUBLISHed on this Redis channel reaches every connection of every node, live only:
    /// without an id, and not kept. Default `sse-broadcast`; empty for none.
    #[serde(default = "default_broadcast_channel")]
    #[schemars(length(max = 200))]
    pub broadcast_channel: String,

    /// How many replicas must have an event before its publisher gets an id and anybody gets the event. What was
    /// confirmed outlives the primary. Default: one replica for a managed Redis of topology Replicated, none otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
}

fn default_broadcast_channel() -> String {
    "sse-broadcast".into()
}

impl Default for Redis {
    fn default() -> Self {
        Self { managed: None, external: None, broadcast_channel: default_broadcast_channel(), confirm: None }
    }
}

/// How many replicas must have an event, by Redis' WAIT.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Confirm {
    /// How many, besides the primary. Fewer than there are, as publishing stops while too few answer. 0 for none: then a
    /// primary that fails takes with it what no replica had yet. Default 1 for a managed Redis of topology Replicated, 0
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub replicas: Option<u32>,

    /// How long they may take; then the publisher is told 503: its events may or may not be kept. A Go duration.
    /// Default 1s.
    #[serde(default = "default_confirm_timeout")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('10ms') && duration(self) <= duration('10s')").message("broker.redis.confirm.timeout must be from 10ms to 10s, for example 1s"))]
    pub timeout: Duration,
}

fn default_confirm_timeout() -> Duration {
    seconds(1)
}

impl Default for Confirm {
    fn default() -> Self {
        Self { replicas: None, timeout: default_confirm_timeout() }
    }
}

/// One key of a Secret in the stream's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("the name of a Secret holds only lower-case letters, digits, '-' and '.'"))]
    pub name: String,

    /// The key within the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && !self.startsWith('..')").message("the key of a Secret holds only letters, digits, '-', '_' and '.'"))]
    pub key: String,
}
