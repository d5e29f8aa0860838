//! `spec.autoscaling`: how many nodes there are is decided by the load. The defaults are those that suit connections
//! that last: more nodes at once, fewer only after minutes, one by one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Duration, seconds};

/// How many nodes there are is decided by the load, within minReplicas and maxReplicas. In mode Operator,
/// `fleet.replicas` is what it begins with; in the modes Hpa and Keda, the autoscaler writes `fleet.replicas`, so leave
/// it out of what you apply. `fleet.replicas: 0` suspends it in every mode: no node, until it is set to something else.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.minReplicas <= self.maxReplicas").message("autoscaling.minReplicas may not be more than autoscaling.maxReplicas"),
    validation = Rule::new("!has(self.maxLag) || self.mode == 'Operator'").message("autoscaling.maxLag needs autoscaling.mode: Operator; the other modes know connections and CPU"),
    validation = Rule::new("self.mode == 'Keda' ? has(self.keda) : !has(self.keda)").message("autoscaling.mode: Keda needs autoscaling.keda.prometheusAddress, and no other mode does")
)]
pub struct Autoscaling {
    /// Who decides. Operator: ssefleet itself, by what the nodes tell it. Hpa: a HorizontalPodAutoscaler, which needs
    /// a custom metrics API, such as the one that ssefleet's chart can switch on. Keda: a ScaledObject, which needs
    /// KEDA and Prometheus. Default Operator.
    #[serde(default)]
    pub mode: AutoscalingMode,

    /// The fewest nodes. Default 2, so that one may fail.
    #[serde(default = "default_min")]
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: i32,

    /// The most nodes. Default 10.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,

    /// How many connections a node should have; there are as many nodes as that takes. Default: 70 % of
    /// `connections.maxPerPod`, which leaves room for those of a node that fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub target_connections_per_pod: Option<u32>,

    /// How much CPU a node should use, in percent of what its container requests. Default: CPU does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub target_cpu_percent: Option<u32>,

    /// How long events may take on average from the log to a node's subscribers: where it is longer, there is one node
    /// more. A Go duration. Default: lag does not count. Mode Operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('10ms') && duration(self) <= duration('1m')").message("autoscaling.maxLag must be from 10ms to 1m, for example 500ms"))]
    pub max_lag: Option<Duration>,

    /// How fast nodes are added. Default: at once, in each 15s 4 of them or as many again as there are.
    #[serde(default)]
    pub scale_up: ScaleUp,

    /// How fast nodes are taken away, each by a drain. Default: when 5m have not needed them, in each minute one of
    /// them or 10 %.
    #[serde(default)]
    pub scale_down: ScaleDown,

    /// How connections move to nodes that were added.
    #[serde(default)]
    pub shed: Shed,

    /// Where KEDA finds the nodes' metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keda: Option<Keda>,
}

/// Who decides how many nodes there are.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoscalingMode {
    /// ssefleet itself, by what the nodes tell it.
    #[default]
    Operator,
    /// A HorizontalPodAutoscaler.
    Hpa,
    /// A ScaledObject of KEDA.
    Keda,
}

/// How fast nodes are added.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ScaleUp {
    /// Nodes are added only as far as all of so long ago has asked for them. A Go duration. Default 0s.
    #[serde(default = "up_window")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('1h')").message("autoscaling.scaleUp.stabilizationWindow must be from 0s to 1h, for example 5m"))]
    pub stabilization_window: Duration,

    /// How many nodes may be added in a period. Default 4.
    #[serde(default = "up_pods")]
    #[schemars(range(min = 1, max = 1000))]
    pub pods: u32,

    /// Or how many in percent of those there are, if that is more. Default 100.
    #[serde(default = "up_percent")]
    #[schemars(range(min = 0, max = 1000))]
    pub percent: u32,

    /// What `pods` and `percent` are counted in. A Go duration. Default 15s.
    #[serde(default = "up_period")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('30m')").message("autoscaling.scaleUp.period must be from 1s to 30m, for example 1m"))]
    pub period: Duration,
}

/// How fast nodes are taken away, each by a drain.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ScaleDown {
    /// Nodes go only as far as nothing of so long ago has asked for them. A Go duration. Default 5m.
    #[serde(default = "down_window")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('1h')").message("autoscaling.scaleDown.stabilizationWindow must be from 0s to 1h, for example 5m"))]
    pub stabilization_window: Duration,

    /// How many nodes may go in a period. Default 1.
    #[serde(default = "down_pods")]
    #[schemars(range(min = 1, max = 1000))]
    pub pods: u32,

    /// Or how many in percent of those there are, if that is more. Default 10.
    #[serde(default = "down_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: u32,

    /// What `pods` and `percent` are counted in. A Go duration. Default 1m.
    #[serde(default = "down_period")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('30m')").message("autoscaling.scaleDown.period must be from 1s to 30m, for example 1m"))]
    pub period: Duration,
}

/// How connections move to nodes that were added: none does by itself. A node that has more than its share is asked to
/// close as many as are too many, in turn, each with its own `retry:`, and all nodes together no more a second than
/// `fleet.drain.reconnectsPerSecond`.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Shed {
    /// Whether connections are moved at all. Without it, they spread as they come back after `connections.maxAge`.
    /// Default true.
    #[serde(default = "yes")]
    pub enabled: bool,

    /// A node is let be that has no more than so many percent above the mean. Default 20.
    #[serde(default = "default_over")]
    #[schemars(range(min = 1, max = 1000))]
    pub over_mean_percent: u32,
}

/// Where KEDA finds the nodes' metrics.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Keda {
    /// The Prometheus that scrapes the nodes, as KEDA reaches it: http://prometheus.monitoring:9090. It must label
    /// their samples with `namespace` and `pod`, as the Prometheus operator does.
    #[schemars(length(max = 2000))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^ @]+$')").message("autoscaling.keda.prometheusAddress must look like http://prometheus.monitoring:9090, without user name and password"))]
    pub prometheus_address: String,
}

/// What autoscaling has decided, in mode Operator.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalingStatus {
    /// How many nodes there are to be.
    #[serde(default)]
    pub desired_replicas: i32,

    /// `spec.fleet.replicas` at that time. When that changes, as by `kubectl scale`, it is what is begun with anew.
    #[serde(default)]
    pub fleet_replicas: i32,

    /// When the number changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scale_time: Option<Time>,
}

impl Autoscaling {
    /// The connections that a node should have, of the most that it takes.
    pub fn target_connections(&self, max_per_pod: usize) -> u32 {
        let usual = u32::try_from(max_per_pod.saturating_mul(7) / 10).unwrap_or(u32::MAX).max(1);
        self.target_connections_per_pod.unwrap_or(usual)
    }

    /// What someone asks for, as far as it may be had. None is what suspends.
    pub fn bounded(&self, replicas: i32) -> i32 {
        if replicas == 0 { 0 } else { replicas.clamp(self.min_replicas, self.max_replicas.max(self.min_replicas)) }
    }
}

impl Default for Shed {
    fn default() -> Self {
        Self { enabled: yes(), over_mean_percent: default_over() }
    }
}

fn default_min() -> i32 {
    2
}

fn default_max() -> i32 {
    10
}

fn up_window() -> Duration {
    seconds(0)
}

fn up_pods() -> u32 {
    4
}

fn up_percent() -> u32 {
    100
}

fn up_period() -> Duration {
    seconds(15)
}

impl Default for ScaleUp {
    fn default() -> Self {
        Self { stabilization_window: up_window(), pods: up_pods(), percent: up_percent(), period: up_period() }
    }
}

fn down_window() -> Duration {
    seconds(300)
}

fn down_pods() -> u32 {
    1
}

fn down_percent() -> u32 {
    10
}

fn down_period() -> Duration {
    seconds(60)
}

impl Default for ScaleDown {
    fn default() -> Self {
        Self { stabilization_window: down_window(), pods: down_pods(), percent: down_percent(), period: down_period() }
    }
}

fn yes() -> bool {
    true
}

fn default_over() -> u32 {
    20
}
