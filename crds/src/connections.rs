//! `spec.connections`: what each connection gets, and how many a node takes.

use kube::KubeSchema;
use kube::core::Duration;
use serde::{Deserialize, Serialize};

use crate::units::seconds;

/// What each connection gets, and how many a node takes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// How many subscribers a node takes; more are refused with 503 and Retry-After. Default 1000.
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

impl Default for Connections {
    fn default() -> Self {
        Self { max_per_pod: default_max_per_pod(), heartbeat_interval: default_heartbeat(), retry: default_retry() }
    }
}
