//! A pod of Redis: who runs in it, and what they share.

use k8s_openapi::{
    api::core::v1::{
        ConfigMapProjection, EmptyDirVolumeSource, KeyToPath, PodSpec, SecretProjection, Volume, VolumeProjection,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use ssefleet_crds::{
    broker::Persistence,
    names::{self, Component},
};

use super::{
    super::{pod, selector},
    AUTH, containers,
};
use crate::controller::{Wanted, credential::PASSWORD, validate::Redis};

/// The user of the Redis and Valkey images, Debian's and Alpine's alike.
const USER: i64 = 999;
/// Redis writes its append-only file out when it stops, which half a minute is enough for on a slow disk; before that, a
/// primary may take as long to hand over.
const GRACE: i64 = 60;

pub(super) fn pod_spec(wanted: &Wanted, redis: &Redis) -> PodSpec {
    let memory =
        |size: &str| EmptyDirVolumeSource { medium: Some("Memory".into()), size_limit: Some(Quantity(size.into())) };
    let mut volumes = vec![
        files(&names::redis(&wanted.stream.name)),
        empty("run", memory("1Mi")),
        empty("tmp", EmptyDirVolumeSource::default()),
    ];
    if redis.spec.persistence == Persistence::None {
        // Replicas write there what they get at first.
        volumes.push(empty("data", EmptyDirVolumeSource::default()));
    }
    PodSpec {
        automount_service_account_token: Some(false),
        image_pull_secrets: pod::pull_secrets(&wanted.settings),
        enable_service_links: Some(false),
        security_context: Some(pod::security(USER)),
        termination_grace_period_seconds: Some(GRACE),
        topology_spread_constraints: redis
            .spec
            .replicated
            .map(|_| pod::spread(&selector(wanted, Component::Redis), false)),
        containers: containers::containers(wanted, redis),
        volumes: Some(volumes),
        ..Default::default()
    }
}

fn empty(name: &str, source: EmptyDirVolumeSource) -> Volume {
    Volume { name: name.into(), empty_dir: Some(source), ..Default::default() }
}

/// All of the ConfigMap, and the password: the kubelet renews both while the pod runs.
fn files(name: &str) -> Volume {
    let config = ConfigMapProjection { name: name.into(), items: None, optional: None };
    let password = KeyToPath { key: PASSWORD.into(), path: AUTH.into(), mode: None };
    let auth = SecretProjection { name: name.into(), items: Some(vec![password]), optional: None };
    pod::files(vec![
        VolumeProjection { config_map: Some(config), ..Default::default() },
        VolumeProjection { secret: Some(auth), ..Default::default() },
    ])
}
