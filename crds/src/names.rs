//! The names of a stream's children, which no one should have to guess, and what all of them are labelled with.

use std::collections::BTreeMap;

use crate::broker::SecretKey;

/// Deployment, ConfigMap, ServiceAccount, PodDisruptionBudget, Ingress, HTTPRoute and its policy, and the public Service.
pub fn node(stream: &str) -> String {
    stream.into()
}

/// The Service that publishers use, and the Secret of the token that they show.
pub fn publish(stream: &str) -> String {
    format!("{stream}-publish")
}

/// Where the token is that publishers show, when `spec.auth.publish` says nothing else.
pub fn publish_token(stream: &str) -> SecretKey {
    SecretKey { name: publish(stream), key: TOKEN.into() }
}

/// The Secret of the token that opens the nodes' admin ports.
pub fn admin(stream: &str) -> String {
    format!("{stream}-admin")
}

/// Where the token is with which the operator speaks to the admin ports of a stream's nodes.
pub fn admin_token(stream: &str) -> SecretKey {
    SecretKey { name: admin(stream), key: TOKEN.into() }
}

/// The key in [`publish_token`] and [`admin_token`].
pub const TOKEN: &str = "token";

/// What the Sentinels of a managed Redis call the primary.
pub const PRIMARY: &str = "ssefleet";

/// The managed Redis: StatefulSet, Service, ConfigMap, NetworkPolicy, PodDisruptionBudget and the Secret of its password.
pub fn redis(stream: &str) -> String {
    format!("{stream}-redis")
}

/// Our own nginx in front of the nodes: Deployment, Service, ConfigMap and PodDisruptionBudget.
pub fn edge(stream: &str) -> String {
    format!("{stream}-edge")
}

/// The Service for the world, of `exposure.service`.
pub fn public(stream: &str) -> String {
    format!("{stream}-public")
}

/// What answers browsers while no node does: Deployment, Service, and the Middleware that leads Traefik there.
pub fn retry(stream: &str) -> String {
    format!("{stream}-retry")
}

/// The key under which the stream's log lies in Redis.
pub fn log_key(namespace: &str, stream: &str) -> String {
    format!("ssefleet:{namespace}/{stream}")
}

/// What a child is: the value of the label `app.kubernetes.io/component`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    Node,
    Redis,
    Edge,
    Retry,
}

impl Component {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "sse-node",
            Self::Redis => "redis",
            Self::Edge => "edge",
            Self::Retry => "retry",
        }
    }
}

pub const COMPONENT: &str = "app.kubernetes.io/component";
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const OPERATOR: &str = "sse-operator";

/// The labels that select the pods of one component; they may never change on a live Deployment.
pub fn selector(stream: &str, component: Component) -> BTreeMap<String, String> {
    [("app.kubernetes.io/name", "ssefleet"), ("app.kubernetes.io/instance", stream), (COMPONENT, component.as_str())]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// The labels of every child.
pub fn labels(stream: &str, component: Component) -> BTreeMap<String, String> {
    let mut labels = selector(stream, component);
    labels.insert(MANAGED_BY.into(), OPERATOR.into());
    labels
}
