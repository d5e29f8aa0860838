//! What is told of a stream: computed only from what the server answered, and written only when it changed.

#[cfg(test)]
mod tests;
mod verdicts;
mod verified;
mod ways;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};
use serde_json::json;
use ssefleet_crds::{
    GROUP, SseStream, SseStreamStatus,
    names::{self, Component},
};

use self::{
    verdicts::{Nodes, broker, degraded, exposed, progressing, ready, secrets},
    verified::Found,
};
use super::{
    Context,
    build::{Applied, Children},
    conditions::{BROKER_READY, Conditions, DEGRADED, EXPOSED, PROGRESSING, READY, Verdict, get},
    error::{self, Blocked},
    events,
    resolve::Observed,
    validate::Wanted,
};
use crate::NAME;

/// Secrets are not watched, so they are looked at from time to time: often while one is missing.
const LOOK_FOR_MISSING: Duration = Duration::from_secs(30);
const LOOK_AT_SECRETS: Duration = Duration::from_mins(1);
/// Everything else is watched; this only bounds what a lost watch event can cost.
const LOOK_ANYWAY: Duration = Duration::from_mins(10);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't write the status: {0}")]
    Write(#[source] Box<kube::Error>),
}

impl Error {
    pub fn metric_label(&self) -> &'static str {
        match self {
            Self::Write(_) => "write_status",
        }
    }
}

pub(super) async fn update_status(
    stream: &SseStream,
    observed: &Observed,
    wanted: &Wanted,
    applied: &Children<Applied>,
    cx: &Context,
) -> Result<Action, Error> {
    let before = cx.memory.current_status(stream);
    let found = verified::found(stream, cx);
    let now = status(stream, &before, observed, wanted, applied, found.as_ref(), second(Timestamp::now()));
    verified::probe(stream, wanted, applied, &now, cx);
    write(stream, &before, now, cx).await?;
    let look = match (observed.missing.is_empty(), wanted.secrets.is_empty()) {
        (false, _) => LOOK_FOR_MISSING,
        (true, false) => LOOK_AT_SECRETS,
        (true, true) => LOOK_ANYWAY,
    };
    Ok(Action::requeue(look.mul_f64(0.9 + 0.2 * fastrand::f64())))
}

/// Tells of a failed reconcile, if someone has to act. What is known of the fleet stays as it was.
pub(super) async fn report(stream: &SseStream, error: &error::Error, cx: &Context) {
    let Some(blocked) = error.blocked() else { return };
    let before = cx.memory.current_status(stream);
    let now = blocked_status(stream, &before, &blocked, second(Timestamp::now()));
    if let Err(error) = write(stream, &before, now, cx).await {
        tracing::warn!(%error, "can't tell of a failed reconcile");
    }
}

async fn write(stream: &SseStream, before: &SseStreamStatus, now: SseStreamStatus, cx: &Context) -> Result<(), Error> {
    if *before == now {
        return Ok(());
    }
    let name = stream.name_any();
    let patch = json!({"apiVersion": format!("{GROUP}/v1alpha1"), "kind": "SseStream", "metadata": {"name": name}, "status": now});
    cx.metrics.write("SseStream", "status");
    let api = Api::<SseStream>::namespaced(cx.client.clone(), &stream.namespace().unwrap_or_default());
    match api.patch_status(&name, &PatchParams::apply(NAME).force(), &Patch::Apply(&patch)).await {
        Ok(_) => {}
        // Deleted in the meantime.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(Error::Write(error.into())),
    }
    events::tell(stream, before, &now, cx).await;
    cx.memory.status_written(stream, now);
    Ok(())
}

/// RFC 3339 in whole seconds, as everything else in Kubernetes.
fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn status(
    object: &SseStream,
    before: &SseStreamStatus,
    observed: &Observed,
    wanted: &Wanted,
    applied: &Children<Applied>,
    found: Option<&Found>,
    now: Timestamp,
) -> SseStreamStatus {
    let stream = &wanted.stream;
    let generation = object.metadata.generation;
    let nodes = Nodes::of(&applied.deployment, stream.replicas);
    let broker = broker(wanted, &observed.missing, &nodes, applied.redis.as_ref().map(|redis| &redis.stateful_set));
    let secrets = secrets(&observed.missing, &stream.namespace);
    let (exposed, address) = exposed(stream.ingress.as_ref(), applied.ingress.as_ref());
    // A rollout is over when it has been over once for this generation: nodes that fail later are lost, not rolling.
    let settled = get(&before.conditions, PROGRESSING)
        .is_some_and(|before| before.status == "False" && before.observed_generation == generation);
    let progressing = progressing(&nodes, &broker, settled);
    let degraded = degraded(&nodes, &broker, secrets.as_ref(), progressing.holds);
    let ready = ready(&nodes, &broker, secrets.as_ref(), stream.ingress.is_some().then_some(&exposed));

    let mut conditions = Conditions { list: before.conditions.clone(), generation, now };
    conditions.set(READY, ready);
    conditions.set(PROGRESSING, progressing);
    conditions.set(DEGRADED, degraded);
    conditions.set(BROKER_READY, broker);
    let is_exposed = exposed.holds;
    conditions.set(EXPOSED, exposed);
    let last_probe = verified::verified(stream, is_exposed, found, before.last_probe.as_ref(), &mut conditions);
    SseStreamStatus {
        observed_generation: generation,
        replicas: nodes.present,
        ready_replicas: nodes.ready,
        selector: Some(selector(&stream.name)),
        url: Some(match address {
            Some(address) => format!("{address}{}", stream.path),
            None => format!("http://{}.{}.svc{}", names::node(&stream.name), stream.namespace, stream.path),
        }),
        publish_url: Some(format!("http://{}.{}.svc/publish", names::publish(&stream.name), stream.namespace)),
        last_probe,
        conditions: conditions.list,
    }
}

fn blocked_status(object: &SseStream, before: &SseStreamStatus, blocked: &Blocked, now: Timestamp) -> SseStreamStatus {
    let generation = object.metadata.generation;
    let mut conditions = Conditions { list: before.conditions.clone(), generation, now };
    conditions.set(READY, Verdict::no(blocked.reason, &blocked.message));
    conditions.set(DEGRADED, Verdict::yes(blocked.reason, &blocked.message));
    if blocked.broker {
        conditions.set(BROKER_READY, Verdict::no(blocked.reason, &blocked.message));
    }
    SseStreamStatus { observed_generation: generation, conditions: conditions.list, ..before.clone() }
}

fn selector(stream: &str) -> String {
    let labels = names::selector(stream, Component::Node);
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
