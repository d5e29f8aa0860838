//! The set of Redis pods, a single one or a primary with replicas, and their volumes.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec, VolumeResourceRequirements},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{ObjectMeta, OwnerReference},
    },
};
use ssefleet_crds::{
    broker::Persistence,
    names::{self, Component},
};

use super::{
    super::{CONFIG, metadata, selector},
    config, pod,
};
use crate::controller::{Wanted, validate::Redis};

pub fn stateful_set(wanted: &Wanted, redis: &Redis) -> StatefulSet {
    let name = names::redis(&wanted.stream.name);
    StatefulSet {
        metadata: metadata(wanted, name.clone(), Component::Redis),
        spec: Some(StatefulSetSpec {
            replicas: Some(redis.spec.replicated.unwrap_or(1)),
            revision_history_limit: Some(3),
            service_name: Some(name),
            selector: selector(wanted, Component::Redis),
            // OrderedReady would wait for ever for a pod that a bad image keeps from being ready; and replicas that have
            // all been away need each other to be ready.
            pod_management_policy: Some("Parallel".into()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(names::labels(&wanted.stream.name, Component::Redis)),
                    annotations: Some(annotations(wanted, redis)),
                    ..Default::default()
                }),
                spec: Some(pod::pod_spec(wanted, redis)),
            },
            volume_claim_templates: match redis.spec.persistence {
                Persistence::AppendOnly => Some(vec![claim(wanted, redis)]),
                Persistence::None => None,
            },
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What the pods read at their start only.
fn annotations(wanted: &Wanted, redis: &Redis) -> BTreeMap<String, String> {
    [(CONFIG.to_owned(), config::version(wanted, redis))].into()
}

/// The volume belongs to the stream and goes with it. It does not belong to the `StatefulSet`, as a retention policy
/// `whenDeleted: Delete` would have it: who deletes that by hand gets it back at once, and must get the log back too.
/// The API server refuses any change of this, so it holds nothing that a release of the operator might change.
fn claim(wanted: &Wanted, redis: &Redis) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some("data".into()),
            labels: Some(names::selector(&wanted.stream.name, Component::Redis)),
            // Not as its controller: the StatefulSet's controller would not touch a claim that has another.
            owner_references: wanted
                .owner
                .clone()
                .map(|owner| vec![OwnerReference { controller: None, block_owner_deletion: None, ..owner }]),
            ..Default::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            storage_class_name: redis.spec.storage_class.clone(),
            volume_mode: Some("Filesystem".into()),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(size(redis.spec.storage)))].into()),
                limits: None,
            }),
            ..Default::default()
        }),
        status: None,
    }
}

/// The largest binary unit that is exact: how the API server writes it too.
fn size(bytes: u64) -> String {
    [(1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")]
        .into_iter()
        .find(|(scale, _)| bytes.is_multiple_of(*scale))
        .map_or_else(|| bytes.to_string(), |(scale, unit)| format!("{}{unit}", bytes / scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{Credential, children::golden, fixtures};

    fn built(spec: &str) -> StatefulSet {
        let wanted = fixtures::wanted(fixtures::yaml(spec));
        stateful_set(&wanted, wanted.redis.as_ref().unwrap())
    }

    #[test]
    fn with_defaults() {
        insta::assert_snapshot!(golden(&built("{}")));
    }

    #[test]
    fn with_storage_and_resources() {
        insta::assert_snapshot!(golden(&built(
            "broker: {redis: {managed: {storage: {size: 20Gi, className: fast}, resources: {requests: {cpu: 2}, limits: {memory: 4Gi}}}}}"
        )));
    }

    #[test]
    fn replicated() {
        insta::assert_snapshot!(golden(&built("broker: {redis: {managed: {topology: Replicated}}}")));
    }

    #[test]
    fn without_persistence_there_is_no_volume_to_wait_for() {
        insta::assert_snapshot!(golden(&built(
            "broker: {redis: {managed: {persistence: None, image: registry.example.com/redis:7}}}"
        )));
    }

    #[test]
    fn a_password_restarts_nothing_and_a_setting_does() {
        let wanted = fixtures::managed();
        let redis = wanted.redis.clone().unwrap();
        let kept = Redis { password: Credential::Kept, ..redis.clone() };
        assert_eq!(annotations(&wanted, &redis), annotations(&wanted, &kept));
        let mut unlimited = redis.clone();
        unlimited.spec.resources = Some(fixtures::yaml("fleet: {pod: {resources: {}}}").fleet.pod.resources.unwrap());
        assert_ne!(annotations(&wanted, &redis), annotations(&wanted, &unlimited));
    }

    #[test]
    fn sizes_are_written_as_the_server_writes_them() {
        assert_eq!([1 << 30, 1536 << 20, 1_000_000_000, 1000].map(size), ["1Gi", "1536Mi", "1000000000", "1000"]);
    }
}
