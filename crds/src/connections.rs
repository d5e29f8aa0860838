//! `spec.connections`: what each connection gets, and how many a node takes.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Duration, seconds};

/// What each connection gets, and how many a node takes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.staleAfter) > duration(self.heartbeatInterval)").message("connections.staleAfter must be longer than heartbeatInterval: a connection is written to only so often"))]
pub struct Connections {
    /// How many subscribers a node takes; more are refused as `refuseWith` says. Default 1000.
    #[serde(default = "default_max_per_pod")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_per_pod: u32,

    /// How long a connection may be silent before the node sends a comment, so that proxies keep it open.
    /// A Go duration. Default 15s, which stays under every common proxy's idle timeout.
    #[serde(default = "default_heartbeat")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('5m')").message("connections.heartbeatInterval must be from 1s to 5m; most proxies cut a stream that is silent for 60s"))]
    pub heartbeat_interval: Duration,

    /// How long a client waits before it reconnects, sent as `retry:`; each connection gets its own value
    /// within ±50 %, so that a node's death brings no wave. A Go duration. Default 3s.
    #[serde(default = "default_retry")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('100ms') && duration(self) <= duration('10m')").message("connections.retry must be from 100ms to 10m, for example 3s"))]
    pub retry: Duration,

    /// A connection that has taken nothing for so long is closed: its reader is gone, or never reads.
    /// A Go duration. Default 5m.
    #[serde(default = "default_stale_after")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('2s') && duration(self) <= duration('24h')").message("connections.staleAfter must be from 2s to 24h"))]
    pub stale_after: Duration,

    /// How old a connection may get, within ±10 %; then it is asked to reconnect, so that load spreads over
    /// new nodes by itself. A Go duration. Default 1h.
    #[serde(default = "default_max_age")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('10s') && duration(self) <= duration('720h')").message("connections.maxAge must be from 10s to 720h"))]
    pub max_age: Duration,

    /// What happens to a subscriber that lags more than `maxLag`. Default Disconnect.
    #[serde(default)]
    pub slow_consumer: SlowConsumer,

    /// How far a subscriber may lag: the age of the oldest event that it could have had and that its
    /// connection has not taken. A Go duration. Default 1m.
    #[serde(default = "default_max_lag")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('1h')").message("connections.maxLag must be from 0s to 1h"))]
    pub max_lag: Duration,

    /// How a full or draining node says no. Default Auto.
    #[serde(default)]
    pub refuse_with: RefuseWith,
}

/// What happens to a subscriber that lags too far.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowConsumer {
    /// The connection is closed. The client comes back with its last event id and misses nothing that the
    /// history still has.
    #[default]
    Disconnect,
    /// It goes on with the newest event of its topics; `event: gap` says how many were skipped.
    SkipToLatest,
    /// It goes on with the newest event of each of its topics; `event: gap` says how many were skipped.
    LatestPerTopic,
}

/// How a node refuses a subscriber.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefuseWith {
    /// Retry for what asks as a browser's EventSource does (`Accept: text/event-stream`, and a
    /// `Sec-Fetch-Mode` or a `User-Agent: Mozilla/…`), Status for anything else.
    #[default]
    Auto,
    /// A status of 503 (or 429) with Retry-After. A browser's EventSource that gets it never tries again.
    Status,
    /// 200 and an event stream that says `retry:` and ends, which a browser's EventSource survives.
    Retry,
}

fn default_max_per_pod() -> u32 {
    1000
}

fn default_heartbeat() -> Duration {
    seconds(15)
}

fn default_retry() -> Duration {
    seconds(3)
}

fn default_stale_after() -> Duration {
    seconds(300)
}

fn default_max_age() -> Duration {
    seconds(3600)
}

fn default_max_lag() -> Duration {
    seconds(60)
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            max_per_pod: default_max_per_pod(),
            heartbeat_interval: default_heartbeat(),
            retry: default_retry(),
            stale_after: default_stale_after(),
            max_age: default_max_age(),
            slow_consumer: SlowConsumer::default(),
            max_lag: default_max_lag(),
            refuse_with: RefuseWith::default(),
        }
    }
}
