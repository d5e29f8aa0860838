//! What decides how many nodes there are, where that is not the operator itself. Both target the stream's scale
//! subresource, that is `spec.fleet.replicas`, which the operator follows: the Deployment has one owner.

mod hpa;
mod keda;

pub use self::{hpa::hpa, keda::scaled_object};

/// The metric of the nodes' pods that the operator's custom metrics API serves, and other adapters are to.
pub const METRIC: &str = "ssefleet_connections";

use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};
use ssefleet_crds::autoscaling::Autoscaling;

/// How fast the number of nodes changes: of both policies the one that allows more counts.
fn behavior(scaling: &Autoscaling) -> HorizontalPodAutoscalerBehavior {
    let (up, down) = (&scaling.scale_up, &scaling.scale_down);
    HorizontalPodAutoscalerBehavior {
        scale_up: Some(rules(up.stabilization_window.into(), up.pods, up.percent, up.period.into())),
        scale_down: Some(rules(down.stabilization_window.into(), down.pods, down.percent, down.period.into())),
    }
}

fn rules(window: Duration, pods: u32, percent: u32, period: Duration) -> HPAScalingRules {
    let period_seconds = seconds(period).max(1);
    let policy =
        |type_: &str, value: u32| HPAScalingPolicy { type_: type_.into(), value: value.cast_signed(), period_seconds };
    let mut policies = vec![policy("Pods", pods)];
    policies.extend((percent > 0).then(|| policy("Percent", percent))); // 0 is refused
    HPAScalingRules {
        stabilization_window_seconds: Some(seconds(window)),
        select_policy: Some("Max".into()),
        policies: Some(policies),
        ..Default::default()
    }
}

/// Rounded up.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}
