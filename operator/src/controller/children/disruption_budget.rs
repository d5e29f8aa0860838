//! Evictions take one node at a time.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use ssefleet_crds::names::{self, Component};

use super::{metadata, selector};
use crate::controller::Wanted;

/// Autoscaling may bring a second one at any time. `None` for a single node otherwise: a budget for it would either mean nothing or block every drain of its host.
pub fn disruption_budget(wanted: &Wanted) -> Option<PodDisruptionBudget> {
    (wanted.stream.replicas > 1 || wanted.stream.autoscaling.is_some()).then(|| PodDisruptionBudget {
        metadata: metadata(wanted, names::node(&wanted.stream.name), Component::Node),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(wanted, Component::Node)),
            // A node that is not ready serves no one: it must not keep its host from being drained.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..Default::default()
        }),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    #[test]
    fn one_node_at_a_time() {
        insta::assert_snapshot!(golden(&disruption_budget(&fixtures::managed()).unwrap()));
    }

    #[test]
    fn a_single_node_has_none() {
        assert_eq!(disruption_budget(&fixtures::memory()), None);
    }
}
