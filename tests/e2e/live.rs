//! What changes while nodes run holds on each of them within ten seconds, though a kubelet by itself looks for it about once
//! a minute; no pod is replaced, and the status says when it is so.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use ssefleet_tests::{
    Must,
    ask::{Answer, Ask},
    cluster, figures, manifest,
    stream::{Stream, condition},
};
use tokio::time::sleep;

use crate::edge::token::{secret, sign};

/// Within this everything holds everywhere.
const SOON: Duration = Duration::from_secs(10);
const ORIGIN: &str = "https://new.example.com";
/// The nodes' ports.
const PUBLIC: u16 = 8080;
const ADMIN: u16 = 9090;

#[tokio::test]
async fn a_changed_limit_origin_and_key_hold_on_every_node_within_ten_seconds() {
    let cluster = cluster().await;
    let here = cluster.namespace("live").await;
    let limit = |max: u32| json!({"rateLimits": {"connect": {"max": max, "window": "1m", "per": "ClientIp"}}});
    let unlimited = manifest::with(manifest::example("edge"), &json!({"rateLimits": {"concurrent": null}}));
    let wanted = manifest::with(unlimited, &limit(1000));
    let (current, previous, next) = (secret(), secret(), secret());
    here.create_secret("accounts-jwt", &[("current", &current), ("previous", &previous)]).await;
    let stream = here.apply(wanted).await;
    stream.ready().await;
    let nodes = stream.nodes(2).await;
    let by = |secret: &str| format!("Bearer {}", sign(secret, "alice", &["orders.*"]));

    // A limit and an origin: by an edit of the spec.
    let applied = Instant::now();
    let cors = json!({"cors": {"allowedOrigins": [ORIGIN]}});
    stream.edit_spec(limit(2000)).await;
    stream.edit_spec(cors).await;
    let limited = Ask::get("/events?topic=orders.a").header("authorization", &by(&current));
    let new_limit = |answer: &Answer| answer.header("ratelimit-limit").as_deref() == Some("2000");
    everywhere(&stream, &nodes, &limited, "the limit", applied, new_limit).await;
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").as_deref() == Some(ORIGIN);
    everywhere(&stream, &nodes, &Ask::preflight("/events", ORIGIN), "the origin", applied, allowed).await;
    record("a changed limit and origin", applied);
    let told = stream.ready().await;
    record("and the status says so", applied);
    for node in &nodes {
        let stats = stream.ask_node(node, ADMIN, &Ask::get("/stats")).await.must("ask a node").json().await;
        assert_eq!(stats["configuration"]["generation"], json!(told.metadata.generation), "{stats}");
    }
    let ready = condition(&told, "Ready").must("read the condition");
    assert_eq!(ready.observed_generation, told.metadata.generation);

    // A key: by an edit of the Secret.
    let mut ends = stream.subscribe_with("/events?topic=orders.a", &[("authorization", &by(&current))]).await;
    let mut stays = stream.subscribe_with("/events?topic=orders.a", &[("authorization", &by(&previous))]).await;
    let changed = Instant::now();
    here.edit_secret("accounts-jwt", json!({"stringData": {"current": next}})).await;
    let new = Ask::get("/events?topic=orders.a").header("authorization", &by(&next));
    everywhere(&stream, &nodes, &new, "the new key", changed, |answer| answer.status == 200).await;
    everywhere(&stream, &nodes, &limited, "that the old one is gone", changed, |answer| answer.status == 401).await;
    record("a changed key", changed);
    let refused = ends.refused(SOON).await;
    assert!(refused.starts_with("401"), "{refused}");
    stream.publisher().publish(&json!({"topic": "orders.a", "data": "1"})).await.must("publish");
    assert_eq!((stays.next().await.number(), stays.connections()), (1, 1), "the other key's stream goes on");
    assert_eq!(stream.nodes(2).await, nodes, "pods were replaced");
}

fn record(what: &str, since: Instant) {
    figures::record(
        &format!("{what}, on each of two nodes, after"),
        &format!("{:.1} s", since.elapsed().as_secs_f64()),
    );
}

/// Asks each node until it answers as it should; fails ten seconds after the change.
async fn everywhere(
    stream: &Stream,
    nodes: &[String],
    ask: &Ask,
    what: &str,
    since: Instant,
    met: impl Fn(&Answer) -> bool,
) {
    join_all(nodes.iter().map(async |node| {
        loop {
            let answer = stream.ask_node(node, PUBLIC, ask).await;
            if answer.as_ref().is_ok_and(&met) {
                return;
            }
            assert!(since.elapsed() < SOON, "{node} does not know {what} after {SOON:?}: {answer:?}");
            sleep(Duration::from_millis(200)).await;
        }
    }))
    .await;
}
