//! What runs in a pod of Redis: the server, the keeper that follows the password, and where there are replicas a
//! Sentinel. All of one image, started by the scripts of the ConfigMap.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, EnvVarSource, ExecAction, Lifecycle, LifecycleHandler, ObjectFieldSelector,
    Probe, VolumeMount,
};
use ssefleet_crds::names;

use super::{super::pod, FILES, MEMORY_LIMIT, PORT, RUN, SENTINEL_PORT};
use crate::controller::{Wanted, validate::Redis};

pub(super) fn containers(wanted: &Wanted, redis: &Redis) -> Vec<Container> {
    let sentinel = redis.spec.replicated.map(|_| sentinel(wanted, redis));
    let keeper = container(wanted, redis, "keeper", "keeper.sh");
    [Some(server(wanted, redis)), sentinel, Some(keeper)].into_iter().flatten().collect()
}

fn server(wanted: &Wanted, redis: &Redis) -> Container {
    let stop = Lifecycle {
        pre_stop: Some(LifecycleHandler { exec: Some(script("stop.sh", &[])), ..Default::default() }),
        ..Default::default()
    };
    let mut server = Container {
        ports: Some(vec![port("redis", PORT)]),
        resources: Some(pod::resources(
            redis.spec.resources.as_ref(),
            [("cpu", "100m"), ("memory", "128Mi")],
            MEMORY_LIMIT,
        )),
        readiness_probe: Some(asked("ready", pod::probe(3, 2))),
        liveness_probe: Some(asked("alive", pod::probe(20, 3))),
        // A replica waits up to 35 s for another one to become the primary before it starts.
        startup_probe: Some(asked("alive", pod::probe(2, 60))),
        lifecycle: redis.spec.replicated.map(|_| stop),
        ..container(wanted, redis, "redis", "start.sh")
    };
    server.volume_mounts.get_or_insert_default().push(mount("data", "/data", false));
    server
}

fn sentinel(wanted: &Wanted, redis: &Redis) -> Container {
    Container {
        ports: Some(vec![port("sentinel", SENTINEL_PORT)]),
        readiness_probe: Some(asked("sentinel", pod::probe(5, 2))),
        liveness_probe: Some(asked("sentinel", pod::probe(20, 3))),
        // It begins when there is a primary; a restart of one that waits for that costs nothing.
        startup_probe: Some(asked("sentinel", pod::probe(2, 300))),
        ..container(wanted, redis, "sentinel", "sentinel.sh")
    }
}

/// One that runs a script, and needs little.
fn container(wanted: &Wanted, redis: &Redis, name: &str, runs: &str) -> Container {
    Container {
        name: name.into(),
        image: Some(redis.spec.image.clone().unwrap_or_else(|| wanted.settings.redis_image.clone())),
        image_pull_policy: wanted.settings.image_pull_policy.clone(),
        command: script(runs, &[]).command,
        env: redis.spec.replicated.map(|replicas| environment(wanted, replicas)),
        resources: Some(pod::resources(None, [("cpu", "10m"), ("memory", "16Mi")], "64Mi")),
        security_context: Some(pod::container_security()),
        volume_mounts: Some(vec![mount("files", FILES, true), mount("run", RUN, false), mount("tmp", "/tmp", false)]),
        ..Default::default()
    }
}

/// What the pods of a set know of each other. More replicas are thus a new template: with each pod that is replaced, a
/// Sentinel forgets those that are no more.
fn environment(wanted: &Wanted, replicas: i32) -> Vec<EnvVar> {
    let (stream, namespace) = (&wanted.stream.name, &wanted.stream.namespace);
    let set = names::redis(stream);
    let peers: Vec<String> = (0..replicas).map(|pod| format!("{set}-{pod}.{set}.{namespace}.svc")).collect();
    let variable = |name: &str, value: String| EnvVar { name: name.into(), value: Some(value), value_from: None };
    let pod = EnvVar {
        name: "POD".into(),
        value: None,
        value_from: Some(EnvVarSource {
            // The API server fills in the version, and what it adds must not look like drift.
            field_ref: Some(ObjectFieldSelector { api_version: Some("v1".into()), field_path: "metadata.name".into() }),
            ..Default::default()
        }),
    };
    vec![
        pod,
        variable("HOST", format!("$(POD).{set}.{namespace}.svc")),
        variable("PEERS", peers.join(" ")),
        variable("LOG", names::log_key(namespace, stream)),
    ]
}

fn script(name: &str, arguments: &[&str]) -> ExecAction {
    let command = ["sh".to_owned(), format!("{FILES}/{name}")].into_iter();
    ExecAction { command: Some(command.chain(arguments.iter().map(|&argument| argument.to_owned())).collect()) }
}

fn asked(what: &str, probe: Probe) -> Probe {
    Probe { exec: Some(script("probe.sh", &[what])), ..probe }
}

fn port(name: &str, port: i32) -> ContainerPort {
    ContainerPort { name: Some(name.into()), container_port: port, protocol: Some("TCP".into()), ..Default::default() }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..Default::default()
    }
}
