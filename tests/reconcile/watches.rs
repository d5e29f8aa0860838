//! Watches that break, or whose place in the server's history is gone: what happened meanwhile is found.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use ssefleet_tests::{
    Must,
    faults::{Fault, Seen, Verb, What},
    wait,
};
use tokio::time::sleep;

use crate::{
    arena::Arena,
    process::{Operator, PATIENCE},
};

fn spec() -> Value {
    json!({"broker": {"memory": {}}, "fleet": {"replicas": 1}})
}

fn is_watch(seen: &Seen) -> bool {
    seen.verb == Verb::Watch
}

/// A stream that is as it should be, and its operator.
async fn settled(arena: &Arena) -> Operator {
    arena.apply(&spec()).await;
    let operator = arena.operator();
    arena.settled().await;
    operator.reconciled(1.0).await;
    operator
}

async fn scale_by_hand(arena: &Arena, replicas: i32) {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let patched = arena.api::<Deployment>().patch("quotes", &PatchParams::default(), &patch).await;
    patched.must("edit the Deployment");
}

async fn repaired(arena: &Arena) {
    let met = |deployment: Option<&Deployment>| deployment.is_some_and(|deployment| replicas(deployment) == Some(1));
    wait::until(&arena.api(), "quotes", "the Deployment has its replica again", PATIENCE, met).await;
}

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref()?.replicas
}

/// How many requests began watches.
fn watches(arena: &Arena) -> usize {
    arena.proxy.seen().iter().filter(|seen| is_watch(seen)).count()
}

#[tokio::test]
async fn what_is_edited_while_watches_are_broken_is_repaired() {
    let arena = Arena::new("cut").await;
    let operator = settled(&arena).await;
    arena.proxy.inject(Fault::always(What::Break, is_watch));
    arena.proxy.cut_watches();
    scale_by_hand(&arena, 7).await;
    let before = watches(&arena);
    sleep(Duration::from_secs(4)).await; // so long, nothing comes through
    let tried = watches(&arena) - before;
    // Eight kinds or so, each after 0.8, 1.6, 3.2 s with jitter.
    assert!(tried <= 60, "{tried} tries of watches in four seconds");
    let met = arena.api::<Deployment>().get("quotes").await.must("read the Deployment");
    assert_eq!(replicas(&met), Some(7), "something came through");
    arena.proxy.heal();
    repaired(&arena).await;
    let writes = operator.sum("ssefleet_operator_api_writes_total").await;
    for _ in 0..3 {
        arena.proxy.cut_watches();
        sleep(Duration::from_millis(500)).await;
    }
    sleep(Duration::from_secs(3)).await;
    let after = operator.sum("ssefleet_operator_api_writes_total").await;
    assert!((after - writes).abs() < 0.5, "cut watches alone made {} writes", after - writes);
}

#[tokio::test]
async fn when_the_history_is_gone_all_is_listed_again_and_what_vanished_is_made_again() {
    let arena = Arena::new("gone").await;
    let operator = settled(&arena).await;
    // Watches are refused until the Service is gone, so that only a new list can tell.
    arena.proxy.inject(Fault::times(40, What::Status(410, None), is_watch));
    arena.proxy.expire_watches();
    scale_by_hand(&arena, 7).await;
    let services = arena.api::<Service>();
    let uid = services.get("quotes").await.must("read the Service").uid();
    services.delete("quotes", &DeleteParams::default()).await.must("delete the Service");
    sleep(Duration::from_secs(2)).await;
    arena.proxy.heal();
    repaired(&arena).await;
    let again = |service: Option<&Service>| service.is_some_and(|service| service.uid() != uid);
    wait::until(&services, "quotes", "there is a new Service", Duration::from_secs(40), again).await;
    // The same, told by the stream of a watch itself.
    arena.proxy.expire_watches();
    scale_by_hand(&arena, 5).await;
    repaired(&arena).await;
    assert!(operator.sum("ssefleet_operator_reconcile_errors_total").await < 1.0);
}
