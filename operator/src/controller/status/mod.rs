//! What is told of a stream: computed only from what the server answered, and written only when it changed.

mod autoscaling;
mod broker;
mod exposure;
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
    runtime::{controller::Action, reflector::ObjectRef},
};
use serde_json::json;
use ssefleet_crds::{
    GROUP, SseStream, SseStreamStatus,
    names::{self, Component},
};

use self::{
    autoscaling::autoscaling,
    broker::broker,
    exposure::exposed,
    verdicts::{Nodes, degraded, progressing, ready, secrets},
    verified::Found,
};
use super::{
    blocked::Blocked,
    children::{Applied, Children},
    conditions::{
        AUTOSCALING, BROKER_READY, Conditions, DEGRADED, EXPOSED, PAUSED, PROGRESSING, READY, Verdict, get, holds,
        holds_for,
    },
    context::Context,
    events, paused,
    resolve::Observed,
    validate::Wanted,
};
use crate::{NAME, nodes::Progress};

/// For a Gateway to take the route, and to have an address.
const LOOK_FOR_GATEWAY: Duration = Duration::from_secs(20);
/// All that a stream depends on is watched, or looked at by someone else (`secrets`, `nodes`); this only bounds what a
/// lost watch event can cost.
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
    let seen = Seen {
        progress: cx.nodes.progress(stream, cx.pods.of(&ObjectRef::from_obj(stream))),
        found: verified::found(stream, cx),
    };
    let now = status(stream, &before, observed, wanted, applied, &seen, second(Timestamp::now()));
    verified::probe(stream, wanted, applied, observed.gateway.as_ref(), &now, cx);
    // Gateways are not watched.
    let waits = wanted.stream.exposure.gateway.is_some() && !holds(&now.conditions, EXPOSED);
    write(stream, &before, now, cx).await?;
    let look = if waits { LOOK_FOR_GATEWAY } else { LOOK_ANYWAY };
    Ok(Action::requeue(look.mul_f64(0.9 + 0.2 * fastrand::f64())))
}

/// Tells that nothing is done for now. What is known of the fleet, and of which generation, stays as it was.
pub(super) async fn tell_paused(stream: &SseStream, cx: &Context) -> Result<Action, Error> {
    let before = cx.memory.current_status(stream);
    let now = paused_status(stream, &before, second(Timestamp::now()));
    write(stream, &before, now, cx).await?;
    Ok(Action::await_change())
}

/// Keeps what autoscaling has decided.
pub(super) async fn decided(stream: &SseStream, observed: &Observed, cx: &Context) -> Result<(), Error> {
    let Some(scale) = &observed.scale else { return Ok(()) };
    let before = cx.memory.current_status(stream);
    if before.conditions.is_empty() {
        return Ok(()); // a new stream begins with what its spec says
    }
    let now = SseStreamStatus { autoscaling: Some(scale.status.clone()), ..before.clone() };
    write(stream, &before, now, cx).await
}

/// Tells of a reconcile that failed until someone acts. What is known of the fleet stays as it was.
pub(super) async fn report(stream: &SseStream, blocked: &Blocked, cx: &Context) {
    let before = cx.memory.current_status(stream);
    let now = blocked_status(stream, &before, blocked, second(Timestamp::now()));
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

/// What the fleet shows of itself, beyond what the API server knows.
#[derive(Default)]
struct Seen {
    progress: Progress,
    found: Option<Found>,
}

fn status(
    object: &SseStream,
    before: &SseStreamStatus,
    observed: &Observed,
    wanted: &Wanted,
    applied: &Children<Applied>,
    Seen { progress, found }: &Seen,
    now: Timestamp,
) -> SseStreamStatus {
    let stream = &wanted.stream;
    let generation = object.metadata.generation;
    let nodes = Nodes::of(&applied.deployment, stream.replicas);
    let broker =
        broker(wanted, &observed.missing, &nodes, progress, applied.redis.as_ref().map(|redis| &redis.stateful_set));
    let secrets = secrets(&observed.missing, &stream.namespace);
    let (exposed, address) = exposed(wanted, applied, observed.gateway.as_ref());
    // A rollout is over when it has been over once for this generation: nodes that fail later are lost, not rolling.
    let settled = get(&before.conditions, PROGRESSING)
        .is_some_and(|before| before.status == "False" && before.observed_generation == generation);
    let progressing = progressing(&nodes, progress, &broker, settled);
    let degraded = degraded(&nodes, progress, &broker, secrets.as_ref(), progressing.holds);
    let ready = ready(&nodes, &broker, secrets.as_ref(), stream.exposure.is_open().then_some(&exposed));

    let mut conditions = Conditions { list: before.conditions.clone(), generation, now };
    conditions.drop(PAUSED);
    // While nodes still take over a new generation they serve as ever, by the one before: which is what Ready is true of.
    if let (true, false, Some(earlier)) = (ready.holds, progress.is_over(), holds_for(&before.conditions, READY)) {
        conditions.generation = Some(earlier);
    }
    conditions.set(READY, ready);
    conditions.generation = generation;
    conditions.set(PROGRESSING, progressing);
    conditions.set(DEGRADED, degraded);
    conditions.set(BROKER_READY, broker);
    let is_exposed = exposed.holds;
    conditions.set(EXPOSED, exposed);
    let last_probe =
        verified::verified(stream, is_exposed, found.as_ref(), before.last_probe.as_ref(), &mut conditions);
    match autoscaling(wanted, observed, applied) {
        Some(verdict) => conditions.set(AUTOSCALING, verdict),
        None => conditions.drop(AUTOSCALING),
    }
    SseStreamStatus {
        observed_generation: generation,
        replicas: nodes.present,
        ready_replicas: nodes.ready,
        selector: Some(selector(&stream.name)),
        autoscaling: observed.scale.as_ref().map(|scale| scale.status.clone()),
        url: Some(match address {
            Some(address) => format!("{address}{}", stream.path),
            None => format!("http://{}.{}.svc{}", names::node(&stream.name), stream.namespace, stream.path),
        }),
        publish_url: Some(format!("http://{}.{}.svc/publish", names::publish(&stream.name), stream.namespace)),
        last_probe,
        conditions: conditions.list,
        // Written by another hand, see `nodes::figures`.
        connections: None,
        events_published: None,
    }
}

fn paused_status(object: &SseStream, before: &SseStreamStatus, now: Timestamp) -> SseStreamStatus {
    let generation = object.metadata.generation;
    let mut conditions = Conditions { list: before.conditions.clone(), generation, now };
    let message = format!(
        "Nothing is applied or repaired while the annotation {annotation} is \"true\": kubectl annotate sse {} {annotation}-",
        object.name_any(),
        annotation = paused::PAUSED,
    );
    conditions.set(PAUSED, Verdict::yes("Annotated", message));
    SseStreamStatus { conditions: conditions.list, ..before.clone() }
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
