//! The condition `Autoscaling`, in each mode.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use ssefleet_crds::autoscaling::AutoscalingMode;

use crate::{
    controller::{
        Wanted,
        children::{Applied, Children},
        conditions::Verdict,
        resolve::Observed,
    },
    optional::Kind,
};

/// `None`: there is no autoscaling.
pub(super) fn autoscaling(wanted: &Wanted, observed: &Observed, applied: &Children<Applied>) -> Option<Verdict> {
    let scaling = wanted.stream.autoscaling.as_ref()?;
    if let Some(scale) = &observed.scale {
        return Some(scale.verdict.clone());
    }
    if wanted.stream.replicas == 0 {
        return Some(Verdict::no("Suspended", "spec.fleet.replicas is 0: there is no node until it is something else"));
    }
    match scaling.mode {
        AutoscalingMode::Operator => None,
        AutoscalingMode::Hpa => applied.horizontal_pod_autoscaler.as_ref().map(hpa),
        AutoscalingMode::Keda if applied.scaled_object.is_none() => {
            Some(Verdict::no("KindMissing", format!("autoscaling.mode Keda: {}", Kind::ScaledObject.missing())))
        }
        AutoscalingMode::Keda => Some(Verdict::yes("ScaledObjectApplied", "KEDA decides; see its ScaledObject")),
    }
}

/// What the HPA controller says of itself.
fn hpa(hpa: &HorizontalPodAutoscaler) -> Verdict {
    let conditions = hpa.status.as_ref().and_then(|status| status.conditions.as_ref());
    let conditions = conditions.map(Vec::as_slice).unwrap_or_default();
    let failed = ["AbleToScale", "ScalingActive"]
        .iter()
        .find_map(|type_| conditions.iter().find(|condition| condition.type_ == *type_ && condition.status == "False"));
    match failed {
        Some(failed) => Verdict::no(
            "HpaInactive",
            format!(
                "The HorizontalPodAutoscaler does not decide: {}. It needs the API custom.metrics.k8s.io with the metric ssefleet_connections: set the chart's customMetrics.enabled, or configure your adapter; and for CPU, metrics-server",
                failed.message.as_deref().unwrap_or_default()
            ),
        ),
        None if conditions.is_empty() => Verdict::yes("Beginning", "The HorizontalPodAutoscaler has not looked yet"),
        None => Verdict::yes("HpaActive", "The HorizontalPodAutoscaler decides"),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus};

    use super::*;

    #[test]
    fn an_hpa_that_has_no_numbers_is_told_with_its_remedy() {
        let with = |conditions: &[(&str, &str)]| {
            let conditions = conditions.iter().map(|(type_, status)| HorizontalPodAutoscalerCondition {
                type_: (*type_).into(),
                status: (*status).into(),
                message: Some("unable to get metric".into()),
                ..Default::default()
            });
            let status = HorizontalPodAutoscalerStatus { conditions: Some(conditions.collect()), ..Default::default() };
            hpa(&HorizontalPodAutoscaler { status: Some(status), ..Default::default() })
        };
        assert_eq!(hpa(&HorizontalPodAutoscaler::default()).reason, "Beginning");
        assert_eq!(with(&[("AbleToScale", "True"), ("ScalingActive", "True")]).reason, "HpaActive");
        let inactive = with(&[("AbleToScale", "True"), ("ScalingActive", "False")]);
        assert!(!inactive.holds && inactive.message.contains("customMetrics.enabled"), "{inactive:?}");
    }
}
