//! What each condition says, from what the server answered: pure functions, and every message tells what to do.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;

use crate::{
    controller::{conditions::Verdict, resolve::Missing},
    nodes::{ADMIN_PORT, Progress, name as node_names},
};

/// The reason of every condition that waits for a Secret of the user's.
pub(super) const SECRET_MISSING: &str = "SecretMissing";

/// The nodes as their Deployment tells of them.
pub(super) struct Nodes {
    name: String,
    pub wanted: i32,
    pub present: i32,
    /// Of the newest template.
    updated: i32,
    pub ready: i32,
    /// The Deployment's own word on its rollout.
    rolling: bool,
    /// Why no pods can be made, or why the rollout does not end.
    failure: Option<String>,
}

impl Nodes {
    pub fn of(deployment: &Deployment, wanted: i32) -> Self {
        let status = deployment.status.clone().unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let condition = |type_: &str| conditions.iter().find(|condition| condition.type_ == type_);
        let stuck = condition("Progressing").filter(|c| c.reason.as_deref() == Some("ProgressDeadlineExceeded"));
        let refused = condition("ReplicaFailure").filter(|c| c.status == "True");
        let (present, updated) = (status.replicas.unwrap_or(0), status.updated_replicas.unwrap_or(0));
        let rolled = condition("Progressing").is_some_and(|c| c.reason.as_deref() == Some("NewReplicaSetAvailable"));
        let seen = status.observed_generation >= deployment.metadata.generation;
        Self {
            name: deployment.name_any(),
            wanted,
            present,
            updated,
            ready: status.ready_replicas.unwrap_or(0),
            rolling: !(seen && rolled && present == wanted && updated == wanted),
            failure: refused.or(stuck).map(|c| c.message.clone().unwrap_or_default()),
        }
    }

    fn complete(&self) -> bool {
        !self.rolling && self.ready >= self.wanted
    }
}

/// A Secret that the nodes need for something else than the broker, if one is missing.
pub(super) fn secrets(missing: &[Missing], namespace: &str) -> Option<Verdict> {
    let first = missing.iter().find(|missing| !missing.is_of_broker())?;
    Some(Verdict::no(SECRET_MISSING, say_missing(first, namespace)))
}

pub(super) fn say_missing(Missing { field, secret, only_key }: &Missing, namespace: &str) -> String {
    let (name, key) = (&secret.name, &secret.key);
    if *only_key {
        let patch = format!(r#"'{{"stringData":{{"{key}":"…"}}}}'"#);
        return format!(
            "spec.{field}: Secret {name} has no key {key}; add it with kubectl -n {namespace} patch secret {name} -p {patch}"
        );
    }
    if field.ends_with("tls.secretName") {
        let create = format!("kubectl -n {namespace} create secret tls {name} --cert=FILE --key=FILE");
        return format!("spec.{field}: there is no Secret {name}; create it with {create}");
    }
    // Keys and certificates are files, secrets are words.
    let is_file = ["publicKeyRef", "caSecretRef"].iter().any(|kind| field.ends_with(kind));
    let from = if is_file { format!("--from-file={key}=FILE") } else { format!("--from-literal={key}=…") };
    format!(
        "spec.{field}: there is no Secret {name}; create it with kubectl -n {namespace} create secret generic {name} {from}"
    )
}

pub(super) fn progressing(nodes: &Nodes, progress: &Progress, broker: &Verdict, settled: bool) -> Verdict {
    let Nodes { wanted, updated, ready, .. } = nodes;
    let Progress { nodes: serving, behind, refused, silent, .. } = progress;
    if nodes.failure.is_some() || !nodes.rolling && !refused.is_empty() {
        Verdict::no("Stuck", "The rollout does not go on; see Degraded")
    } else if nodes.complete() && !behind.is_empty() {
        let current = serving.saturating_sub(behind.len());
        let message = format!("{current} of {serving} nodes run the current spec; {} not yet", node_names(behind));
        Verdict::yes("Reconfiguring", message)
    } else if nodes.complete() && !silent.is_empty() {
        let message = format!(
            "Every node is of the current template; but {} does not tell the operator on port {ADMIN_PORT} what it runs. Let the operator's pods through to that port (NetworkPolicy), and see that spec.fleet.pod.image is as new as the operator",
            node_names(silent)
        );
        Verdict::no("Complete", message)
    } else if nodes.complete() {
        Verdict::no("Complete", "Every node runs the current spec")
    } else if nodes.rolling {
        Verdict::yes("RollingOut", format!("{updated} of {wanted} nodes run the current spec, {ready} are ready"))
    } else if settled {
        Verdict::no("Complete", "Every node runs the current spec; see Degraded for those that are not ready")
    } else if broker.holds {
        Verdict::yes("WaitingForNodes", format!("{ready} of {wanted} nodes are ready"))
    } else {
        Verdict::yes("WaitingForBroker", broker.message.clone())
    }
}

pub(super) fn degraded(
    nodes: &Nodes,
    progress: &Progress,
    broker: &Verdict,
    secrets: Option<&Verdict>,
    progressing: bool,
) -> Verdict {
    let Nodes { name, wanted, ready, .. } = nodes;
    if let Some(failure) = &nodes.failure {
        Verdict::yes("RolloutStuck", format!("{failure} See kubectl describe deployment {name}, and its pods"))
    } else if let Some(missing) = secrets.or(Some(broker)).filter(|verdict| verdict.reason == SECRET_MISSING) {
        Verdict::yes(missing.reason, missing.message.clone())
    } else if let Some((pod, error)) = progress.refused.first().filter(|_| !nodes.rolling) {
        let message = format!(
            "{pod} can't use the current spec and goes on with the one before: {error}. Is spec.fleet.pod.image as new as the operator?"
        );
        Verdict::yes("SpecRefused", message)
    } else if progressing {
        Verdict::no("AsExpected", "A rollout is under way")
    } else if !broker.holds {
        Verdict::yes(broker.reason, broker.message.clone())
    } else if ready < wanted {
        let message =
            format!("{ready} of {wanted} nodes are ready. See kubectl describe deployment {name}, and its pods");
        Verdict::yes("NodesUnavailable", message)
    } else {
        Verdict::no("AsExpected", "Nothing is wrong")
    }
}

pub(super) fn ready(nodes: &Nodes, broker: &Verdict, secrets: Option<&Verdict>, exposed: Option<&Verdict>) -> Verdict {
    let Nodes { wanted, ready, updated, .. } = nodes;
    if !broker.holds {
        Verdict::no("BrokerNotReady", broker.message.clone())
    } else if let Some(missing) = secrets {
        missing.clone()
    } else if *wanted == 0 {
        Verdict::no("ScaledToZero", "No node is wanted: kubectl scale sse/NAME --replicas=2")
    } else if !nodes.complete() {
        Verdict::no("NodesNotReady", format!("{ready} of {wanted} nodes are ready, {updated} run the current spec"))
    } else if let Some(exposed) = exposed.filter(|exposed| !exposed.holds) {
        Verdict::no("NotExposed", exposed.message.clone())
    } else {
        Verdict::yes("AllReady", format!("All {wanted} nodes serve the stream"))
    }
}
