//! Our own nginx in front of the nodes: unprivileged, on 8080 or, by TLS, 8443. What it does stands in `config.rs`.

mod config;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec},
        core::v1::{
            ConfigMapProjection, Container, ContainerPort, EmptyDirVolumeSource, HTTPGetAction, KeyToPath, PodSpec,
            PodTemplateSpec, Probe, SecretProjection, Volume, VolumeMount, VolumeProjection,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use ssefleet_crds::{
    exposure::Edge,
    names::{self, Component},
};

use super::{
    super::{metadata, pod, selector},
    EdgeChildren,
    service::{Opens, open},
};
use crate::controller::Wanted;

/// The user of the image nginxinc/nginx-unprivileged.
const USER: i64 = 101;
/// ConfigMap and certificate lie in one projected volume, each in a folder of its own.
const FILES: &str = "/etc/ssefleet";
/// Five seconds in which the endpoints hear of it, and some to end: see run.sh.
const GRACE: i64 = 15;

/// What the Service listens on.
pub(super) fn port(edge: &Edge) -> i32 {
    edge.service.port.unwrap_or(if edge.tls.is_some() { 443 } else { 80 })
}

pub fn edge(wanted: &Wanted, edge: &Edge) -> EdgeChildren {
    let opens = Opens {
        name: names::edge(&wanted.stream.name),
        to: Component::Edge,
        port: port(edge),
        target: if edge.tls.is_some() { "https" } else { "http" },
    };
    EdgeChildren {
        config: config::config(wanted, edge),
        service: open(wanted, &edge.service, &opens),
        deployment: deployment(wanted, edge),
        disruption_budget: (edge.replicas > 1).then(|| disruption_budget(wanted)),
    }
}

/// A new configuration is read in place and replaces no pod: none is hashed into an annotation.
fn deployment(wanted: &Wanted, edge: &Edge) -> Deployment {
    let name = names::edge(&wanted.stream.name);
    Deployment {
        metadata: metadata(wanted, name, Component::Edge),
        spec: Some(DeploymentSpec {
            replicas: Some(edge.replicas),
            revision_history_limit: Some(3),
            selector: selector(wanted, Component::Edge),
            strategy: Some(pod::surge(IntOrString::Int(1))),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(names::labels(&wanted.stream.name, Component::Edge)),
                    ..Default::default()
                }),
                spec: Some(pod_spec(wanted, edge)),
            },
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn disruption_budget(wanted: &Wanted) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(wanted, names::edge(&wanted.stream.name), Component::Edge),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(wanted, Component::Edge)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn pod_spec(wanted: &Wanted, edge: &Edge) -> PodSpec {
    let pod = &wanted.stream.pod;
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: pod::pull_secrets(&wanted.settings),
        security_context: Some(pod::security(USER)),
        termination_grace_period_seconds: Some(GRACE),
        node_selector: (!pod.node_selector.is_empty()).then(|| pod.node_selector.clone()),
        tolerations: (!pod.tolerations.is_empty()).then(|| pod.tolerations.clone()),
        topology_spread_constraints: Some(pod::spread(&selector(wanted, Component::Edge), true)),
        containers: vec![container(wanted, edge)],
        volumes: Some(vec![
            files(wanted, edge),
            Volume { name: "tmp".into(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Default::default() },
        ]),
        ..Default::default()
    }
}

fn container(wanted: &Wanted, edge: &Edge) -> Container {
    let port = |name: &str, container_port: i32| ContainerPort {
        name: Some(name.into()),
        container_port,
        protocol: Some("TCP".into()),
        ..Default::default()
    };
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..Default::default()
    };
    let get = |probe: Probe| {
        let port = IntOrString::String("health".into());
        Some(Probe {
            http_get: Some(HTTPGetAction { path: Some("/healthz".into()), port, ..Default::default() }),
            ..probe
        })
    };
    let mut ports = vec![port("http", 8080), port("health", 8090)];
    ports.extend(edge.tls.is_some().then(|| port("https", 8443)));
    Container {
        name: "nginx".into(),
        image: Some(edge.image.clone().unwrap_or_else(|| wanted.settings.nginx_image.clone())),
        image_pull_policy: wanted.settings.image_pull_policy.clone(),
        command: Some(vec!["/bin/sh".into(), format!("{FILES}/conf/{}", config::RUN)]),
        ports: Some(ports),
        resources: Some(pod::resources(edge.resources.as_ref(), [("cpu", "50m"), ("memory", "32Mi")], "256Mi")),
        readiness_probe: get(pod::probe(2, 2)),
        liveness_probe: get(pod::probe(10, 3)),
        security_context: Some(pod::container_security()),
        volume_mounts: Some(vec![mount("files", FILES, true), mount("tmp", "/tmp", false)]),
        ..Default::default()
    }
}

fn files(wanted: &Wanted, edge: &Edge) -> Volume {
    let item = |key: &str, folder: &str| KeyToPath { key: key.into(), path: format!("{folder}/{key}"), mode: None };
    let config = ConfigMapProjection {
        name: names::edge(&wanted.stream.name),
        items: Some([config::CONF, config::RUN].map(|key| item(key, "conf")).into()),
        optional: None,
    };
    let mut sources = vec![VolumeProjection { config_map: Some(config), ..Default::default() }];
    sources.extend(edge.tls.as_ref().map(|tls| VolumeProjection {
        secret: Some(SecretProjection {
            name: tls.secret_name.clone(),
            items: Some(["tls.crt", "tls.key"].map(|key| item(key, "tls")).into()),
            optional: None,
        }),
        ..Default::default()
    }));
    pod::files(sources)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    fn built(spec: &str) -> EdgeChildren {
        let wanted = fixtures::wanted(fixtures::yaml(&format!("exposure: {{edge: {spec}}}")));
        edge(&wanted, wanted.stream.exposure.edge.as_ref().unwrap())
    }

    #[test]
    fn two_behind_a_load_balancer() {
        let children = built("{}");
        insta::assert_snapshot!(format!(
            "{}---\n{}---\n{}",
            golden(&children.service),
            golden(&children.deployment),
            golden(&children.disruption_budget.unwrap())
        ));
    }

    #[test]
    fn one_with_tls_on_a_port_of_every_host() {
        let children = built(
            "{replicas: 1, host: events.example.com, tls: {secretName: cert}, service: {type: NodePort}, image: registry.example.com/nginx:1, resources: {limits: {memory: 1Gi}}}",
        );
        assert!(children.disruption_budget.is_none());
        insta::assert_snapshot!(format!("{}---\n{}", golden(&children.service), golden(&children.deployment)));
    }

    #[test]
    fn a_new_configuration_replaces_no_pod() {
        let plain = fixtures::wanted(fixtures::yaml("exposure: {edge: {}}"));
        let changed = fixtures::wanted(fixtures::yaml("path: /other\nexposure: {edge: {}}"));
        let of = |wanted: &Wanted| edge(wanted, wanted.stream.exposure.edge.as_ref().unwrap());
        assert_eq!(of(&plain).deployment, of(&changed).deployment);
        assert_ne!(of(&plain).config, of(&changed).config);
    }
}
