//! The Redis server and its volume.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::{
            ConfigMapProjection, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, ExecAction,
            KeyToPath, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSpec, PodTemplateSpec, Probe,
            ProjectedVolumeSource, SecretKeySelector, SecretProjection, Volume, VolumeMount, VolumeProjection,
            VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{ObjectMeta, OwnerReference},
    },
};
use ssefleet_crds::names::{self, Component};

use super::{
    super::{CONFIG, metadata, pod, selector},
    AUTH, FILES, MEMORY_LIMIT, PORT, config,
};
use crate::{
    controller::{
        Wanted,
        credential::{AUTH_CONF, PASSWORD},
        validate::Redis,
    },
    digest,
};

/// The user of the Redis and Valkey images, Debian's and Alpine's alike.
const USER: i64 = 999;
/// Redis writes its append-only file out when it stops; a minute is enough for a slow disk.
const GRACE: i64 = 60;

pub fn stateful_set(wanted: &Wanted, redis: &Redis) -> StatefulSet {
    let name = names::redis(&wanted.stream.name);
    StatefulSet {
        metadata: metadata(wanted, name.clone(), Component::Redis),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            revision_history_limit: Some(3),
            service_name: Some(name),
            selector: selector(wanted, Component::Redis),
            // OrderedReady would wait for ever for a pod that a bad image keeps from being ready.
            pod_management_policy: Some("Parallel".into()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(names::labels(&wanted.stream.name, Component::Redis)),
                    annotations: Some(annotations(redis)),
                    ..Default::default()
                }),
                spec: Some(pod_spec(wanted, redis)),
            },
            volume_claim_templates: Some(vec![claim(wanted, redis)]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Redis reads both at its start only.
fn annotations(redis: &Redis) -> BTreeMap<String, String> {
    let config = digest::short(&config::text(redis), 8);
    [(CONFIG.to_owned(), format!("{config}-{}", redis.password.version()))].into()
}

fn pod_spec(wanted: &Wanted, redis: &Redis) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        image_pull_secrets: pod::pull_secrets(&wanted.settings),
        enable_service_links: Some(false),
        security_context: Some(pod::security(USER)),
        termination_grace_period_seconds: Some(GRACE),
        containers: vec![container(wanted, redis)],
        volumes: Some(vec![
            files(&names::redis(&wanted.stream.name)),
            Volume { name: "tmp".into(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Default::default() },
        ]),
        ..Default::default()
    }
}

fn container(wanted: &Wanted, redis: &Redis) -> Container {
    let exec = |command: &[&str], probe: Probe| {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Some(Probe { exec: Some(ExecAction { command: Some(command) }), ..probe })
    };
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..Default::default()
    };
    Container {
        name: "redis".into(),
        image: Some(wanted.settings.redis_image.clone()),
        image_pull_policy: wanted.settings.image_pull_policy.clone(),
        command: Some(vec!["redis-server".into(), format!("{FILES}/{}", config::FILE)]),
        env: Some(vec![EnvVar {
            name: "REDISCLI_AUTH".into(),
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(SecretKeySelector {
                    name: names::redis(&wanted.stream.name),
                    key: PASSWORD.into(),
                    optional: None,
                }),
                ..Default::default()
            }),
            ..Default::default()
        }]),
        ports: Some(vec![ContainerPort {
            name: Some("redis".into()),
            container_port: PORT,
            protocol: Some("TCP".into()),
            ..Default::default()
        }]),
        resources: Some(pod::resources(
            redis.spec.resources.as_ref(),
            [("cpu", "100m"), ("memory", "128Mi")],
            MEMORY_LIMIT,
        )),
        // -e turns an error reply, such as LOADING while the log is read, into an exit code; without it, only a server
        // that does not answer at all fails. So a long load keeps it unready, and alive.
        readiness_probe: exec(&["redis-cli", "-e", "ping"], pod::probe(3, 2)),
        liveness_probe: exec(&["redis-cli", "ping"], pod::probe(20, 3)),
        startup_probe: exec(&["redis-cli", "ping"], pod::probe(2, 60)),
        security_context: Some(pod::container_security()),
        volume_mounts: Some(vec![
            mount("data", "/data", false),
            mount("files", FILES, true),
            mount("tmp", "/tmp", false),
        ]),
        ..Default::default()
    }
}

fn files(name: &str) -> Volume {
    let item = |key: &str, path: &str| Some(vec![KeyToPath { key: key.into(), path: path.into(), mode: None }]);
    let config = ConfigMapProjection { name: name.into(), items: item(config::FILE, config::FILE), optional: None };
    let auth = SecretProjection { name: name.into(), items: item(AUTH_CONF, AUTH), optional: None };
    Volume {
        name: "files".into(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(pod::SECRET_MODE),
            sources: Some(vec![
                VolumeProjection { config_map: Some(config), ..Default::default() },
                VolumeProjection { secret: Some(auth), ..Default::default() },
            ]),
        }),
        ..Default::default()
    }
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
    use crate::controller::{Credential, build::golden, fixtures};

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
    fn a_new_password_restarts_it_and_a_kept_one_does_not() {
        let wanted = fixtures::managed();
        let annotations = |password: Credential| annotations(&Redis { password, ..wanted.redis.clone().unwrap() });
        let new = Credential::New("one".into());
        assert_eq!(annotations(new.clone()), annotations(Credential::Kept { version: new.version() }));
        assert_ne!(annotations(new), annotations(Credential::New("other".into())));
    }

    #[test]
    fn sizes_are_written_as_the_server_writes_them() {
        assert_eq!([1 << 30, 1536 << 20, 1_000_000_000, 1000].map(size), ["1Gi", "1536Mi", "1000000000", "1000"]);
    }
}
