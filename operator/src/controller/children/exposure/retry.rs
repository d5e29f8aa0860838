//! `sse-node retry`: answers every request with a stream that says when to come back, for controllers that can send
//! requests there which no node answers. One small pod; it shares the nodes' manifest, and so their `retry` and CORS.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec},
        core::v1::{
            ConfigMapVolumeSource, Container, ContainerPort, HTTPGetAction, KeyToPath, PodSpec, PodTemplateSpec, Probe,
            Service, ServicePort, ServiceSpec, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use ssefleet_crds::names::{self, Component};

use super::{
    super::{config, deployment::USER, metadata, pod, selector, service},
    RetryChildren,
};
use crate::controller::Wanted;

/// The answers of a proxy that has no node to ask.
pub const STATUSES: [u16; 3] = [502, 503, 504];

const PORT: i32 = 8080;
const FILES: &str = "/etc/ssefleet";

pub fn retry(wanted: &Wanted) -> RetryChildren {
    RetryChildren { service: service(wanted), deployment: deployment(wanted) }
}

fn service(wanted: &Wanted) -> Service {
    Service {
        metadata: metadata(wanted, names::retry(&wanted.stream.name), Component::Retry),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(names::selector(&wanted.stream.name, Component::Retry)),
            ports: Some(vec![ServicePort {
                name: Some(service::PORT.into()),
                port: service::NUMBER,
                protocol: Some("TCP".into()),
                app_protocol: Some("http".into()),
                target_port: Some(IntOrString::String("http".into())),
                ..Default::default()
            }]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn deployment(wanted: &Wanted) -> Deployment {
    let name = names::retry(&wanted.stream.name);
    Deployment {
        metadata: metadata(wanted, name, Component::Retry),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            revision_history_limit: Some(1),
            selector: selector(wanted, Component::Retry),
            strategy: Some(pod::surge(IntOrString::Int(1))),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(names::labels(&wanted.stream.name, Component::Retry)),
                    ..Default::default()
                }),
                spec: Some(pod_spec(wanted)),
            },
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn pod_spec(wanted: &Wanted) -> PodSpec {
    let pod = &wanted.stream.pod;
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: pod::pull_secrets(&wanted.settings),
        security_context: Some(pod::security(USER)),
        termination_grace_period_seconds: Some(5),
        node_selector: (!pod.node_selector.is_empty()).then(|| pod.node_selector.clone()),
        tolerations: (!pod.tolerations.is_empty()).then(|| pod.tolerations.clone()),
        containers: vec![container(wanted)],
        volumes: Some(vec![Volume {
            name: "files".into(),
            config_map: Some(ConfigMapVolumeSource {
                name: names::node(&wanted.stream.name),
                items: Some(vec![KeyToPath { key: config::FILE.into(), path: config::FILE.into(), mode: None }]),
                ..Default::default()
            }),
            ..Default::default()
        }]),
        ..Default::default()
    }
}

fn container(wanted: &Wanted) -> Container {
    let pod = &wanted.stream.pod;
    let get = |probe: Probe| {
        let port = IntOrString::String("http".into());
        Some(Probe {
            http_get: Some(HTTPGetAction { path: Some("/health".into()), port, ..Default::default() }),
            ..probe
        })
    };
    Container {
        name: "retry".into(),
        image: Some(pod.image.clone().unwrap_or_else(|| wanted.settings.node_image.clone())),
        image_pull_policy: wanted.settings.image_pull_policy.clone(),
        args: Some(
            ["retry", &format!("{FILES}/{}", config::FILE), "--listen", &format!("0.0.0.0:{PORT}")]
                .map(str::to_owned)
                .into(),
        ),
        ports: Some(vec![ContainerPort {
            name: Some("http".into()),
            container_port: PORT,
            protocol: Some("TCP".into()),
            ..Default::default()
        }]),
        resources: Some(pod::resources(None, [("cpu", "5m"), ("memory", "8Mi")], "64Mi")),
        readiness_probe: get(pod::probe(2, 2)),
        liveness_probe: get(pod::probe(10, 3)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    #[test]
    fn a_small_pod_and_its_service() {
        let RetryChildren { service, deployment } = retry(&fixtures::managed());
        insta::assert_snapshot!(format!("{}---\n{}", golden(&service), golden(&deployment)));
    }
}
