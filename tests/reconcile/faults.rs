//! Answers that are errors, late, or lost: the children still end right, and what fails is tried again later each time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};
use ssefleet_tests::{
    Must,
    faults::{Fault, Seen, Verb, What, on},
};

use crate::{
    arena::{Arena, difference},
    process::Operator,
};

fn spec() -> Value {
    json!({"exposure": {"ingress": {"controller": "Traefik", "host": "quotes.test"}}})
}

/// What comes of the stream when nothing goes wrong, and how many writes that takes.
async fn undisturbed() -> (BTreeMap<String, Value>, usize) {
    let arena = Arena::new("calm").await;
    arena.apply(&spec()).await;
    let operator = arena.operator();
    arena.settled().await;
    operator.reconciled(1.0).await;
    let children = arena.children().await;
    assert_eq!(children.keys().filter(|id| id.starts_with("Deployment/")).count(), 1);
    (children, arena.proxy.writes().len())
}

/// Lets a fault happen to a first reconcile, and holds its end against that of an undisturbed one. Of writes, there are
/// no more than those and what was tried again.
async fn ends_right(arena: &Arena, faults: usize, inject: impl FnOnce(&Arena)) -> Operator {
    let (wanted, writes) = undisturbed().await;
    inject(arena);
    arena.apply(&spec()).await;
    let mut operator = arena.operator();
    arena.settled().await;
    assert_eq!(difference(&wanted, &arena.children().await), Vec::<String>::new());
    let seen = arena.proxy.writes();
    assert!(seen.len() <= writes + faults + 2, "a storm of {} writes, {writes} undisturbed: {seen:#?}", seen.len());
    assert!(operator.is_running());
    operator
}

/// When the requests that `fits` finds were made, apart by how much.
fn gaps(arena: &Arena, fits: impl Fn(&Seen) -> bool) -> Vec<Duration> {
    let times: Vec<Instant> = arena.proxy.seen().into_iter().filter(fits).map(|seen| seen.at).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test]
async fn an_internal_error_is_tried_again_later_each_time() {
    let arena = Arena::new("internal").await;
    let fault = Fault::times(4, What::Status(500, None), on(Verb::Patch, "deployments"));
    let operator = ends_right(&arena, 4, |arena| arena.proxy.inject(fault)).await;
    let gaps = gaps(&arena, on(Verb::Patch, "deployments"));
    // 1, 2, 4 and 8 s, each by a fifth more or less.
    for (gap, doubled) in gaps.iter().zip([1.0, 2.0, 4.0, 8.0]) {
        // A child that was made meanwhile may bring the first try forward.
        let least = if doubled > 1.0 { doubled * 0.79 } else { 0.0 };
        assert!((least..doubled * 1.2 + 2.0).contains(&gap.as_secs_f64()), "{gaps:?}");
    }
    assert!(gaps.len() >= 4, "{gaps:?}");
    assert_eq!(operator.sum(r#"ssefleet_operator_reconcile_errors_total{reason="apply"}"#).await, 4.0);
}

#[tokio::test]
async fn conflicts_pass_and_are_not_told_as_a_refusal() {
    let arena = Arena::new("conflict").await;
    ends_right(&arena, 4, |arena| {
        arena.proxy.inject(Fault::times(2, What::Status(409, None), on(Verb::Patch, "services")));
        arena.proxy.inject(Fault::times(1, What::Status(409, None), on(Verb::Create, "secrets")));
        arena.proxy.inject(Fault::times(1, What::Status(409, None), on(Verb::Patch, "ssestreams/status")));
    })
    .await;
    let stream = arena.settled().await;
    let told = serde_json::to_string(&stream.status).must("write the status");
    assert!(!told.contains("ApplyRefused"), "{told}");
}

#[tokio::test]
async fn a_throttled_request_waits_as_long_as_it_is_told() {
    let arena = Arena::new("throttled").await;
    let fault = Fault::times(3, What::Status(429, Some(2)), on(Verb::Patch, "configmaps"));
    ends_right(&arena, 3, |arena| arena.proxy.inject(fault)).await;
    let gaps = gaps(&arena, on(Verb::Patch, "configmaps"));
    assert!(gaps.len() >= 3 && gaps[..3].iter().all(|gap| *gap >= Duration::from_millis(1900)), "{gaps:?}");
}

#[tokio::test]
async fn a_lost_connection_makes_no_credential_twice() {
    let arena = Arena::new("lost").await;
    ends_right(&arena, 4, |arena| {
        arena.proxy.inject(Fault::times(1, What::LoseAnswer, on(Verb::Create, "secrets")));
        arena.proxy.inject(Fault::times(1, What::Break, on(Verb::Create, "secrets")));
        arena.proxy.inject(Fault::times(1, What::LoseAnswer, on(Verb::Patch, "statefulsets")));
        arena.proxy.inject(Fault::times(1, What::Break, on(Verb::Patch, "deployments")));
    })
    .await;
    let created = arena.proxy.seen().into_iter().filter(on(Verb::Create, "secrets"));
    let made = created.filter(|seen| seen.status == Some(201)).count();
    let lost = 1; // of which the operator has not heard
    assert_eq!(made + lost, arena.credentials().await.len());
}

#[tokio::test]
async fn a_request_that_is_never_answered_holds_one_stream_and_not_for_ever() {
    let arena = Arena::new("hang").await;
    let hung = |seen: &Seen| seen.verb == Verb::Patch && seen.resource == "deployments" && seen.name == "quotes";
    arena.proxy.inject(Fault::times(1, What::Hang, hung));
    arena.apply(&spec()).await;
    let operator = arena.operator();
    operator.until("ssefleet_operator_api_writes_total", 1.0, crate::process::PATIENCE).await;
    for other in ["one", "two", "three"] {
        arena.apply_named(other, &json!({"broker": {"memory": {}}, "fleet": {"replicas": 1}})).await;
        arena.settled_as(other).await;
    }
    let begun = Instant::now();
    arena.settled().await;
    let gaps = gaps(&arena, hung);
    assert!(gaps.first().is_some_and(|gap| *gap > Duration::from_secs(30)), "{gaps:?} {:?}", begun.elapsed());
    arena.api::<Deployment>().get("quotes").await.must("find the Deployment");
}

#[tokio::test]
async fn slow_answers_are_waited_for() {
    let arena = Arena::new("slow").await;
    let slow = Fault::always(What::Slow(Duration::from_millis(400)), |seen: &Seen| seen.verb != Verb::Watch);
    ends_right(&arena, 0, |arena| arena.proxy.inject(slow)).await;
}

#[tokio::test]
async fn a_stream_that_is_seen_before_its_children_are_listed_is_reconciled_all_the_same() {
    let arena = Arena::new("early").await;
    arena.apply(&spec()).await;
    let list = |seen: &Seen| seen.verb == Verb::Read && seen.resource == "deployments" && seen.name.is_empty();
    arena.proxy.inject(Fault::times(1, What::Slow(Duration::from_secs(2)), list));
    let _operator = arena.operator();
    arena.settled().await;
}
