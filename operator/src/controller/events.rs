//! Kubernetes events: what `kubectl describe` tells of a stream's life. They are read off the change from one status
//! to the next, so that a steady stream makes none.

use kube::{
    Resource,
    runtime::events::{Event, EventType},
};
use ssefleet_crds::{SseStream, SseStreamStatus};

use super::{
    Context,
    conditions::{DEGRADED, PAUSED, READY, STREAM_VERIFIED, get, holds},
};

/// What is worth an event between the status before and the one now.
fn transitions(before: &SseStreamStatus, now: &SseStreamStatus) -> Vec<(EventType, String, String)> {
    let mut events = Vec::new();
    if before.conditions.is_empty() {
        events.push((EventType::Normal, "Created".into(), "The fleet is being made".into()));
    }
    match (get(&before.conditions, PAUSED), get(&now.conditions, PAUSED)) {
        (None, Some(paused)) => events.push((EventType::Normal, "Paused".into(), paused.message.clone())),
        (Some(_), None) => {
            events.push((EventType::Normal, "Resumed".into(), "The stream is looked after again".into()));
        }
        _ => {}
    }
    let (was, is) = (get(&before.conditions, DEGRADED), get(&now.conditions, DEGRADED));
    let was = was.filter(|degraded| degraded.status == "True").map(|degraded| &degraded.reason);
    if let Some(is) = is.filter(|degraded| degraded.status == "True" && was != Some(&degraded.reason)) {
        events.push((EventType::Warning, is.reason.clone(), is.message.clone()));
    }
    let (was, is) = (get(&before.conditions, STREAM_VERIFIED), get(&now.conditions, STREAM_VERIFIED));
    if let Some(is) = is.filter(|is| is.status == "False" && was.is_none_or(|was| was.reason != is.reason)) {
        events.push((EventType::Warning, is.reason.clone(), is.message.clone()));
    }
    if let Some(ready) = get(&now.conditions, READY) {
        match (holds(&before.conditions, READY), ready.status == "True") {
            (false, true) => events.push((EventType::Normal, "Ready".into(), ready.message.clone())),
            (true, false) => events.push((EventType::Normal, "NotReady".into(), ready.message.clone())),
            _ => {}
        }
    }
    events
}

pub(super) async fn tell(stream: &SseStream, before: &SseStreamStatus, now: &SseStreamStatus, cx: &Context) {
    for (type_, reason, note) in transitions(before, now) {
        publish(stream, type_, reason, note, cx).await;
    }
}

pub(super) async fn password_created(stream: &SseStream, secret: &str, cx: &Context) {
    let note = format!("Made a password for the managed Redis, in the Secret {secret}");
    publish(stream, EventType::Normal, "PasswordCreated".into(), note, cx).await;
}

pub(super) async fn token_created(stream: &SseStream, secret: &str, whom: &str, cx: &Context) {
    let note = format!("Made a token for {whom}, in the Secret {secret}");
    publish(stream, EventType::Normal, "TokenCreated".into(), note, cx).await;
}

pub(crate) async fn scaled(stream: &SseStream, from: i32, to: i32, why: &str, cx: &Context) {
    let note = format!("Scaled from {from} to {to}: {why}");
    publish(stream, EventType::Normal, if to > from { "ScaledOut" } else { "ScaledIn" }.into(), note, cx).await;
}

/// An event that can't be written is logged and no more: the stream's state does not depend on it.
async fn publish(stream: &SseStream, type_: EventType, reason: String, note: String, cx: &Context) {
    cx.metrics.write("Event", "create");
    // The API allows a kilobyte.
    let note = Some(note.chars().take(1000).collect());
    let event = Event { type_, reason, note, action: "Reconcile".into(), secondary: None };
    if let Err(error) = cx.recorder.publish(&event, &stream.object_ref(&())).await {
        tracing::warn!(%error, event.reason, "can't write an event");
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};

    use super::*;
    use crate::controller::conditions::{Conditions, Verdict};

    fn status(ready: bool, degraded: Option<&'static str>) -> SseStreamStatus {
        let mut conditions = Conditions { list: Vec::new(), generation: None, now: Timestamp::default() };
        conditions.set(READY, Verdict { holds: ready, reason: "R", message: String::new() });
        conditions.set(
            DEGRADED,
            Verdict { holds: degraded.is_some(), reason: degraded.unwrap_or("-"), message: String::new() },
        );
        SseStreamStatus { conditions: conditions.list, ..Default::default() }
    }

    #[test]
    fn events_tell_of_changes_only() {
        let told = |before: &SseStreamStatus, now: &SseStreamStatus| {
            transitions(before, now).into_iter().map(|(_, reason, _)| reason).collect::<Vec<_>>()
        };
        assert_eq!(told(&SseStreamStatus::default(), &status(false, None)), ["Created"]);
        assert_eq!(told(&status(false, None), &status(true, None)), ["Ready"]);
        assert!(told(&status(true, None), &status(true, None)).is_empty());
        assert_eq!(
            told(&status(true, None), &status(false, Some("NodesUnavailable"))),
            ["NodesUnavailable", "NotReady"]
        );
        assert!(told(&status(false, Some("A")), &status(false, Some("A"))).is_empty());
        assert_eq!(told(&status(false, Some("A")), &status(false, Some("B"))), ["B"]);
        let mut paused = status(true, None);
        paused.conditions.push(Condition { type_: PAUSED.into(), ..paused.conditions[0].clone() });
        assert_eq!(told(&status(true, None), &paused), ["Paused"]);
        assert!(told(&paused, &paused).is_empty());
        assert_eq!(told(&paused, &status(true, None)), ["Resumed"]);
    }
}
