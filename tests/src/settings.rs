//! What `tests/cluster/cluster env` exports: which cluster, and how it is reached from here.

use std::{env, path::PathBuf};

use ssefleet_crds::exposure::Controller;

use crate::must::Must;

/// Which cluster the tests run on, and how it is reached from here.
#[derive(Debug)]
pub struct Settings {
    /// The Helm values of this cluster's images. Without it, the chart's own.
    pub values: Option<PathBuf>,
    pub ingress: Ingress,
    /// Namespace and name of a Gateway that is reached at the ingress' address.
    pub gateway: (String, String),
    /// `IP:PORT` of the Gateway that `tests/cluster/cluster envoy-gateway` makes, where it was run.
    pub envoy: Option<String>,
    /// Redis, for tests that are not content with the Valkey that the chart names.
    pub redis_7: String,
    pub services: Services,
}

/// The ingress controller of the cluster.
#[derive(Debug)]
pub struct Ingress {
    pub class: String,
    pub controller: Controller,
    /// `IP:PORT`, to connect to from here.
    pub address: String,
}

/// How Services and pods are reached from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Services {
    /// At their own addresses.
    Direct,
    /// Through the API server.
    PortForward,
}

const HOW: &str = "run `make test`, or `tests/cluster/cluster up`, `tests/cluster/cluster images` and \
                   `eval \"$(tests/cluster/cluster env)\"` before";

impl Settings {
    /// Read from the environment; panics with what to do where there is no cluster.
    pub fn from_env() -> Self {
        assert!(variable("KUBECONFIG").is_some(), "these tests need a cluster, and KUBECONFIG is not set: {HOW}");
        Self {
            values: variable("SSEFLEET_VALUES").map(PathBuf::from),
            ingress: ingress(),
            gateway: gateway(),
            envoy: variable("SSEFLEET_ENVOY_ADDRESS").map(|url| address("SSEFLEET_ENVOY_ADDRESS", &url)),
            redis_7: variable("SSEFLEET_REDIS_7_IMAGE").unwrap_or_else(|| "docker.io/library/redis:7".into()),
            services: services(),
        }
    }

    /// `IP:PORT` of the Gateway of Envoy Gateway, for a test that is about it alone.
    pub fn must_have_envoy(&self) -> &str {
        let how = "find Envoy Gateway: run `tests/cluster/cluster envoy-gateway`, which the local provider has, and `env` again";
        self.envoy.as_deref().must(how)
    }
}

fn ingress() -> Ingress {
    let need = |name| variable(name).must(format_args!("read {name}, which says how the ingress is reached ({HOW})"));
    let controller = match need("SSEFLEET_INGRESS_CONTROLLER").as_str() {
        "Traefik" => Controller::Traefik,
        "IngressNginx" => Controller::IngressNginx,
        other => panic!("SSEFLEET_INGRESS_CONTROLLER is '{other}', not Traefik or IngressNginx"),
    };
    let address = address("SSEFLEET_INGRESS_ADDRESS", &need("SSEFLEET_INGRESS_ADDRESS"));
    Ingress { class: need("SSEFLEET_INGRESS_CLASS"), controller, address }
}

/// `IP:PORT` of a URL.
fn address(name: &str, url: &str) -> String {
    let host = url
        .strip_prefix("http://")
        .must(format_args!("use {name} '{url}', which must look like http://IP or http://IP:PORT"))
        .trim_end_matches('/');
    if host.contains(':') { host.to_owned() } else { format!("{host}:80") }
}

fn gateway() -> (String, String) {
    let named = variable("SSEFLEET_GATEWAY").unwrap_or_else(|| "kube-system/traefik".into());
    let (namespace, name) =
        named.split_once('/').must(format_args!("use SSEFLEET_GATEWAY '{named}', not namespace/name"));
    (namespace.into(), name.into())
}

fn services() -> Services {
    match variable("SSEFLEET_SERVICES").as_deref() {
        Some("direct") => Services::Direct,
        Some("port-forward") | None => Services::PortForward,
        Some(other) => panic!("SSEFLEET_SERVICES is '{other}', not direct or port-forward"),
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
