//! Evictions take one Redis at a time. A single one may be evicted too: subscribers stay connected while it moves, and
//! publishers are told to try again; a budget that keeps it would keep its host from ever being drained.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use ssefleet_crds::names::{self, Component};

use super::super::{metadata, selector};
use crate::controller::Wanted;

pub fn disruption_budget(wanted: &Wanted) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(wanted, names::redis(&wanted.stream.name), Component::Redis),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(wanted, Component::Redis)),
            // IfHealthyBudget, the default: one that is not ready may be the only one that has the newest events, so it
            // goes only while the others are well.
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    #[test]
    fn one_redis_at_a_time() {
        insta::assert_snapshot!(golden(&disruption_budget(&fixtures::managed())));
    }
}
