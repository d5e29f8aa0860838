//! `autoscaling.mode: Hpa`.

use k8s_openapi::{
    api::autoscaling::v2::{
        CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricIdentifier,
        MetricSpec, MetricTarget, PodsMetricSource, ResourceMetricSource,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use ssefleet_crds::{
    GROUP,
    autoscaling::AutoscalingMode,
    names::{self, Component},
};

use super::{METRIC, behavior};
use crate::controller::{Wanted, children::metadata};

pub fn hpa(wanted: &Wanted) -> Option<HorizontalPodAutoscaler> {
    let stream = &wanted.stream;
    let scaling = stream.autoscaling.as_ref().filter(|scaling| scaling.mode == AutoscalingMode::Hpa)?;
    let connections = MetricSpec {
        type_: "Pods".into(),
        pods: Some(PodsMetricSource {
            metric: MetricIdentifier { name: METRIC.into(), selector: None },
            target: MetricTarget {
                type_: "AverageValue".into(),
                average_value: Some(Quantity(scaling.target_connections(stream.connections.max_per_pod).to_string())),
                ..Default::default()
            },
        }),
        ..Default::default()
    };
    let cpu = |percent: u32| MetricSpec {
        type_: "Resource".into(),
        resource: Some(ResourceMetricSource {
            name: "cpu".into(),
            target: MetricTarget {
                type_: "Utilization".into(),
                average_utilization: Some(percent.cast_signed()),
                ..Default::default()
            },
        }),
        ..Default::default()
    };
    Some(HorizontalPodAutoscaler {
        metadata: metadata(wanted, names::node(&stream.name), Component::Node),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some(format!("{GROUP}/v1alpha1")),
                kind: "SseStream".into(),
                name: stream.name.clone(),
            },
            min_replicas: Some(scaling.min_replicas),
            max_replicas: scaling.max_replicas,
            metrics: Some(std::iter::once(connections).chain(scaling.target_cpu_percent.map(cpu)).collect()),
            behavior: Some(behavior(scaling)),
        }),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use crate::controller::{
        children::{build, golden},
        fixtures,
    };

    #[test]
    fn on_connections_and_cpu() {
        let wanted = fixtures::wanted(fixtures::yaml(
            "autoscaling: {mode: Hpa, maxReplicas: 20, targetCpuPercent: 80, scaleDown: {percent: 0}}",
        ));
        insta::assert_snapshot!(golden(&build(&wanted).horizontal_pod_autoscaler.unwrap()));
    }

    #[test]
    fn only_the_mode_that_asks_for_it_has_one() {
        for (spec, has) in [("{}", false), ("autoscaling: {}", false), ("autoscaling: {mode: Hpa}", true)] {
            let built = build(&fixtures::wanted(fixtures::yaml(spec)));
            assert_eq!(built.horizontal_pod_autoscaler.is_some(), has, "{spec}");
        }
    }
}
