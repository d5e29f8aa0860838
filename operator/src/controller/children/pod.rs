//! What the pods of a stream have in common: the `restricted` Pod Security level, probes, resources, spread, rollouts.
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Capabilities, LocalObjectReference, PodSecurityContext, Probe, ProjectedVolumeSource, ResourceRequirements,
            SeccompProfile, SecurityContext, TopologySpreadConstraint, Volume, VolumeProjection,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use ssefleet_crds::fleet::Resources;

use crate::settings::Settings;

/// Files of Secrets are for the container's group only.
const SECRET_MODE: i32 = 0o440;

/// The volume `files`, of keys of ConfigMaps and Secrets; renewed in place when they change.
pub fn files(sources: Vec<VolumeProjection>) -> Volume {
    Volume {
        name: "files".into(),
        projected: Some(ProjectedVolumeSource { default_mode: Some(SECRET_MODE), sources: Some(sources) }),
        ..Default::default()
    }
}

pub fn security(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
        // A volume whose root has the right owner need not be walked at each start.
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), ..Default::default() }),
        ..Default::default()
    }
}

pub fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
        ..Default::default()
    }
}

/// A pod goes only when its successor serves: reconnects always find one. `more` are there at a time.
pub fn surge(more: IntOrString) -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".into()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(more),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

/// Apart where there is room, by host and by zone: a cluster of one host shall have all pods all the same. `by_template`:
/// those of a Deployment, so that a rollout spreads the new pods, whatever the old ones do.
pub fn spread(selected: &LabelSelector, by_template: bool) -> Vec<TopologySpreadConstraint> {
    let over = |topology: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: topology.into(),
        when_unsatisfiable: "ScheduleAnyway".into(),
        label_selector: Some(selected.clone()),
        match_label_keys: by_template.then(|| vec!["pod-template-hash".into()]),
        ..Default::default()
    };
    vec![over("kubernetes.io/hostname"), over("topology.kubernetes.io/zone")]
}

/// What the operator was told to pull the images of streams with.
pub fn pull_secrets(settings: &Settings) -> Option<Vec<LocalObjectReference>> {
    let named = |name: &String| LocalObjectReference { name: name.clone() };
    (!settings.image_pull_secrets.is_empty()).then(|| settings.image_pull_secrets.iter().map(named).collect())
}

/// Every `period` seconds; `failures` in a row count.
pub fn probe(period: i32, failures: i32) -> Probe {
    Probe {
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Default::default()
    }
}

/// What the stream says, or else requests and a memory limit. Never a CPU limit: throttling would bunch events.
pub fn resources(given: Option<&Resources>, requests: [(&str, &str); 2], memory_limit: &str) -> ResourceRequirements {
    match given {
        Some(given) => ResourceRequirements {
            requests: quantities(&given.requests),
            limits: quantities(&given.limits),
            ..Default::default()
        },
        None => ResourceRequirements {
            requests: Some(requests.map(|(name, value)| (name.to_owned(), Quantity(value.into()))).into()),
            limits: Some([("memory".to_owned(), Quantity(memory_limit.into()))].into()),
            ..Default::default()
        },
    }
}

fn quantities(given: &BTreeMap<String, IntOrString>) -> Option<BTreeMap<String, Quantity>> {
    let quantity = |value: &IntOrString| match value {
        IntOrString::Int(n) => Quantity(n.to_string()),
        IntOrString::String(text) => Quantity(text.clone()),
    };
    (!given.is_empty()).then(|| given.iter().map(|(name, value)| (name.clone(), quantity(value))).collect())
}
