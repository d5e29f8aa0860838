//! StreamVerified and `status.lastProbe`: what the probes found, told so that a steady state is told once; and that a
//! stream is to be probed.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{ResourceExt, api::DynamicObject};
use ssefleet_crds::{SseStream, SseStreamStatus, Stream, status::LastProbe};

use super::ways::ways;
use crate::{
    controller::{
        Context, Wanted,
        children::{Applied, Children},
        conditions::{Conditions, STREAM_VERIFIED, get},
    },
    probe::{Finding, Plan},
};

/// While the probes find the same, the last one is told anew that often.
const RENEWED: Duration = Duration::from_hours(24);

/// What the probes found, and of which generation.
pub(super) type Found = (Arc<Finding>, Option<i64>);

/// What the probes found last.
pub(super) fn found(stream: &SseStream, cx: &Context) -> Option<Found> {
    cx.probes.finding(&stream.namespace().unwrap_or_default(), &stream.name_any())
}

/// Has the stream probed by the ways that it has now, as long as anyone is there to answer.
pub(super) fn probe(
    object: &SseStream,
    wanted: &Wanted,
    applied: &Children<Applied>,
    gateway: Option<&DynamicObject>,
    now: &SseStreamStatus,
    cx: &Context,
) {
    let stream = &wanted.stream;
    let generation = object.metadata.generation;
    let ways = if stream.exposure.probe.enabled { ways(wanted, applied, gateway) } else { Vec::new() };
    if ways.is_empty() || now.ready_replicas == 0 {
        cx.probes.forget(&stream.namespace, &stream.name);
        return;
    }
    let known = get(&now.conditions, STREAM_VERIFIED)
        .is_some_and(|verified| verified.status == "True" && verified.observed_generation == generation);
    let plan = Plan {
        namespace: stream.namespace.clone(),
        name: stream.name.clone(),
        generation,
        path: stream.path.clone(),
        heartbeat: stream.connections.heartbeat_interval,
        ways,
    };
    cx.probes.want(plan, known);
}

/// Sets StreamVerified, and returns the probe that it is from.
pub(super) fn verified(
    stream: &Stream,
    exposed: bool,
    found: Option<&Found>,
    last: Option<&LastProbe>,
    conditions: &mut Conditions,
) -> Option<LastProbe> {
    let not_asked = if !stream.exposure.is_open() {
        Some(("NotRequested", "There is no way in from outside that could be verified; spec.exposure opens one"))
    } else if !stream.exposure.probe.enabled {
        Some(("Disabled", "exposure.probe.enabled is false, so no one looks whether the stream arrives"))
    } else if !exposed {
        Some(("NotExposed", "There is no address yet to subscribe at; see Exposed"))
    } else {
        None
    };
    let generation = conditions.generation;
    if let Some((reason, message)) = not_asked {
        conditions.put(STREAM_VERIFIED, "Unknown", reason, message.to_owned(), generation);
        return None;
    }
    let before = get(&conditions.list, STREAM_VERIFIED);
    let Some((finding, of)) = found else {
        // Of an earlier generation, or before a restart: it holds until the next probe.
        if before.is_some_and(|before| last.is_some_and(|last| last.result == before.reason)) {
            return last.cloned();
        }
        let message = "The first probe comes as soon as a node is ready";
        conditions.put(STREAM_VERIFIED, "Unknown", "Pending", message.to_owned(), generation);
        return None;
    };
    let outcome = finding.outcome;
    let now = conditions.now;
    let told = before.is_some_and(|before| before.reason == outcome.reason() && before.observed_generation == *of);
    let is_recent = |last: &&LastProbe| now.duration_since(last.time.0).unsigned_abs() < RENEWED;
    if told && let Some(last) = last.filter(is_recent) {
        return Some(last.clone());
    }
    let status = match outcome.holds() {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    conditions.put(STREAM_VERIFIED, status, outcome.reason(), finding.message.clone(), *of);
    Some(last_probe(finding, now))
}

fn last_probe(finding: &Finding, now: Timestamp) -> LastProbe {
    let millis = |time: Option<Duration>| time.and_then(|time| i64::try_from(time.as_millis()).ok());
    let measured = &finding.measured;
    LastProbe {
        time: Time(now),
        result: finding.outcome.reason().into(),
        first_byte_ms: millis(measured.first_byte),
        spacing_ms: millis(measured.spacing),
        held_ms: millis(measured.held),
    }
}
