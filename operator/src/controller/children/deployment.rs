//! The nodes. With the memory broker a rollout runs two nodes for a moment, each with its own history, and the old
//! history ends with its pod: that is what this broker is.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec},
        core::v1::{
            ConfigMapProjection, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, KeyToPath,
            ObjectFieldSelector, PodSpec, PodTemplateSpec, Probe, SecretProjection, Volume, VolumeMount,
            VolumeProjection,
        },
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use ssefleet_crds::{
    broker::SecretKey,
    names::{self, Component},
};

use super::{CONFIG, config, metadata, pod, selector};
use crate::{controller::Wanted, digest};

/// Distroless' nonroot, as which the image runs.
pub(super) const USER: i64 = 65532;
/// Manifest and Secrets lie in one projected volume: a volume can't be mounted inside a read-only one.
const FILES: &str = "/etc/ssefleet";
const SECRETS: &str = "secrets";
/// The listeners: the container port's name, its number, and the variable that tells the node.
const LISTENERS: [(&str, i32, &str); 3] =
    [("public", 8080, "SSEFLEET_PUBLIC"), ("publish", 8081, "SSEFLEET_PUBLISH"), ("admin", 9090, "SSEFLEET_ADMIN")];
/// What a node takes beyond its drain: to leave the endpoints, and to exit.
const AFTER_DRAIN: u64 = 15;

pub fn deployment(wanted: &Wanted) -> Deployment {
    let stream = &wanted.stream;
    Deployment {
        metadata: metadata(wanted, names::node(&stream.name), Component::Node),
        spec: Some(DeploymentSpec {
            replicas: Some(stream.replicas),
            revision_history_limit: Some(3),
            selector: selector(wanted, Component::Node),
            strategy: Some(pod::surge(IntOrString::String("25%".into()))),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(names::labels(&stream.name, Component::Node)),
                    annotations: Some(annotations(wanted)),
                    ..Default::default()
                }),
                spec: Some(pod_spec(wanted)),
            },
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Limits, CORS, tokens and all else that a node takes over while it runs replace no pod: only the rest counts here.
fn annotations(wanted: &Wanted) -> BTreeMap<String, String> {
    let mut annotations = wanted.stream.pod.annotations.clone();
    annotations.insert(CONFIG.into(), digest::short(&wanted.manifest.at_start, 8));
    annotations
}

fn pod_spec(wanted: &Wanted) -> PodSpec {
    let stream = &wanted.stream;
    let some = |list: Vec<_>| (!list.is_empty()).then_some(list);
    PodSpec {
        service_account_name: Some(names::node(&stream.name)),
        automount_service_account_token: Some(false),
        // A Service called ssefleet would put SSEFLEET_… variables into the pod.
        enable_service_links: Some(false),
        security_context: Some(pod::security(USER)),
        termination_grace_period_seconds: Some((stream.drain.timeout.as_secs() + AFTER_DRAIN).cast_signed()),
        node_selector: (!stream.pod.node_selector.is_empty()).then(|| stream.pod.node_selector.clone()),
        tolerations: some(stream.pod.tolerations.clone()),
        topology_spread_constraints: Some(pod::spread(&selector(wanted, Component::Node), true)),
        image_pull_secrets: pod::pull_secrets(&wanted.settings),
        containers: vec![container(wanted)],
        volumes: Some(vec![files(wanted)]),
        ..Default::default()
    }
}

fn container(wanted: &Wanted) -> Container {
    let pod = &wanted.stream.pod;
    let get = |path: &str, probe: Probe| {
        let http_get =
            HTTPGetAction { path: Some(path.into()), port: IntOrString::String("admin".into()), ..Default::default() };
        Some(Probe { http_get: Some(http_get), ..probe })
    };
    let port = |(name, port, _): (&str, i32, &str)| ContainerPort {
        name: Some(name.into()),
        container_port: port,
        protocol: Some("TCP".into()), // part of the key by which server-side apply merges ports
        ..Default::default()
    };
    let variable = |(_, port, variable): (&str, i32, &str)| EnvVar {
        name: variable.into(),
        value: Some(format!("0.0.0.0:{port}")),
        ..Default::default()
    };
    Container {
        name: "sse-node".into(),
        image: Some(pod.image.clone().unwrap_or_else(|| wanted.settings.node_image.clone())),
        image_pull_policy: wanted.settings.image_pull_policy.clone(),
        args: Some(
            [
                "serve".to_owned(),
                format!("{FILES}/{}", config::FILE),
                "--secrets-dir".into(),
                format!("{FILES}/{SECRETS}"),
            ]
            .into(),
        ),
        env: Some(LISTENERS.map(variable).into_iter().chain([node_name()]).collect()),
        ports: Some(LISTENERS.map(port).into()),
        resources: Some(pod::resources(pod.resources.as_ref(), [("cpu", "100m"), ("memory", "64Mi")], "512Mi")),
        startup_probe: get("/healthz", pod::probe(1, 60)),
        readiness_probe: get("/readyz", pod::probe(2, 2)),
        liveness_probe: get("/healthz", pod::probe(10, 3)),
        security_context: Some(pod::container_security()),
        volume_mounts: Some(vec![VolumeMount {
            name: "files".into(),
            mount_path: FILES.into(),
            read_only: Some(true),
            ..Default::default()
        }]),
        ..Default::default()
    }
}

/// So that subscribers, logs and metrics name the node as `kubectl get pods` does.
fn node_name() -> EnvVar {
    let field_ref = Some(ObjectFieldSelector { field_path: "metadata.name".into(), api_version: Some("v1".into()) });
    EnvVar {
        name: "SSEFLEET_NODE".into(),
        value_from: Some(EnvVarSource { field_ref, ..Default::default() }),
        ..Default::default()
    }
}

/// `stream.yaml`, and each key of a Secret as `secrets/<name>/<key>`; renewed in place when they change.
fn files(wanted: &Wanted) -> Volume {
    let mut sources = vec![VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: names::node(&wanted.stream.name),
            items: Some(vec![KeyToPath { key: config::FILE.into(), path: config::FILE.into(), mode: None }]),
            optional: None,
        }),
        ..Default::default()
    }];
    // They are sorted: the keys of one Secret stand together.
    for keys in wanted.secrets.chunk_by(|a, b| a.name == b.name) {
        let path = |SecretKey { name, key }: &SecretKey| KeyToPath {
            key: key.clone(),
            path: format!("{SECRETS}/{name}/{key}"),
            mode: None,
        };
        sources.extend(keys.first().map(|SecretKey { name, .. }| VolumeProjection {
            secret: Some(SecretProjection {
                name: name.clone(),
                items: Some(keys.iter().map(path).collect()),
                optional: None,
            }),
            ..Default::default()
        }));
    }
    pod::files(sources)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    #[test]
    fn managed() {
        insta::assert_snapshot!(golden(&deployment(&fixtures::managed())));
    }

    #[test]
    fn memory() {
        insta::assert_snapshot!(golden(&deployment(&fixtures::memory())));
    }

    #[test]
    fn with_the_secrets_of_the_edge() {
        insta::assert_snapshot!(golden(&deployment(&fixtures::edge())));
    }

    #[test]
    fn what_a_node_takes_over_while_it_runs_replaces_no_pod() {
        let built = |spec: &str| deployment(&fixtures::wanted(fixtures::yaml(spec)));
        for spec in [
            "path: /other",
            "connections: {maxPerPod: 7}",
            "rateLimits: {connect: {max: 3}}",
            "cors: {allowedOrigins: [\"*\"]}",
            "compression: {mode: Transport}",
            "history: {maxEvents: 7}",
        ] {
            assert_eq!(built(spec), built("{}"), "{spec}");
        }
        let edge = fixtures::EDGE.replace("[HS256]", "[HS512]").replace("max: 30", "max: 3");
        assert_eq!(built(&edge), built(fixtures::EDGE));
        assert_ne!(built("broker: {redis: {managed: {}, broadcastChannel: other}}"), built("{}"));
    }

    #[test]
    fn images_are_pulled_with_the_secrets_that_the_operator_is_told() {
        let mut wanted = fixtures::managed();
        wanted.settings.image_pull_secrets = vec!["registry".into()];
        let spec = deployment(&wanted).spec.unwrap().template.spec.unwrap();
        assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "registry");
    }

    #[test]
    fn external_with_secrets_and_a_pod_of_its_own() {
        insta::assert_snapshot!(golden(&deployment(&fixtures::external())));
    }

    #[test]
    fn with_the_secrets_of_servers_and_sentinels() {
        insta::assert_snapshot!(golden(
            &deployment(&fixtures::sentinels()).spec.unwrap().template.spec.unwrap().volumes
        ));
    }
}
