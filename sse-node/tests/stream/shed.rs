//! Shedding: so many streams end, at the declared rate and in order, and the rest go on.

use std::{sync::Arc, time::Instant};

use futures_util::future::join_all;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use sse_node::broker::{Retention, memory::Memory};

use crate::support::{Node, eventually, send, stream};

async fn node() -> Node {
    let spec = json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}, "connections": {"retry": "2s"}});
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}

async fn shed(node: &Node, body: Value) -> u16 {
    let request = Request::post("/shed").header("host", "node").body(Full::from(body.to_string())).unwrap();
    send(node.admin, request).await.status().as_u16()
}

#[tokio::test]
async fn only_so_many_streams_end_as_are_asked_for_and_at_the_declared_rate() {
    let node = node().await;
    let mut readers = Vec::new();
    for _ in 0..30 {
        readers.push(node.subscribe("/events").await);
    }
    let begun = Instant::now();
    assert_eq!(shed(&node, json!({"connections": 20, "perSecond": 20})).await, 202);
    eventually("20 have left", async || node.metric("ssefleet_node_connections").await == 10).await;
    assert!(begun.elapsed().as_secs_f64() > 0.9, "{:?}", begun.elapsed());
    node.publish(json!({"data": "last"})).await;
    join_all(readers.iter_mut().map(async |reader| while !reader.raw.contains("data: last") && reader.more().await {}))
        .await;
    let stayed = readers.iter().filter(|reader| reader.raw.contains("data: last")).count();
    assert_eq!(stayed, 10, "those who stayed get the next event");
    let shed: Vec<_> = readers.iter().filter(|reader| reader.raw.contains("more than its share")).collect();
    assert_eq!(shed.len(), 20);
    // Each with a `retry:` of its own, within half of what it had, which was within half of what is declared.
    let retries: std::collections::HashSet<u64> = shed.iter().map(|reader| reader.retry()).collect();
    assert!(retries.len() > 10 && retries.iter().all(|retry| (500..=4500).contains(retry)), "{retries:?}");
    assert_eq!(node.metric("ssefleet_node_connections_closed_total{reason=\"shed\"}").await, 20);
}

#[tokio::test]
async fn the_one_asked_for_last_counts_and_a_bad_one_is_refused() {
    let node = node().await;
    let mut readers = Vec::new();
    for _ in 0..10 {
        readers.push(node.subscribe("/events").await);
    }
    assert_eq!(shed(&node, json!({"connections": 10, "perSecond": 1})).await, 202);
    assert_eq!(shed(&node, json!({"connections": 2, "perSecond": 1000})).await, 202);
    let left = async || node.metric("ssefleet_node_connections").await;
    eventually("2 have left", async || left().await <= 8).await;
    // On a busy machine the first had ended one before the second came; from then on it ends no other.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let after = left().await;
    assert!((7..=8).contains(&after), "{after} are left");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await; // in which the first would have ended another
    assert_eq!(left().await, after);
    assert_eq!(shed(&node, json!({"connections": "all"})).await, 400);
    assert_eq!(node.get(node.admin, "/shed").await.0, 405);
}

#[tokio::test]
async fn stats_tell_of_cpu_and_of_how_long_events_take() {
    let node = node().await;
    let mut reader = node.subscribe("/events").await;
    node.publish(json!({"data": "x"})).await;
    reader.next().await;
    let stats = async || serde_json::from_str::<Value>(&node.get(node.admin, "/stats").await.1).unwrap();
    eventually("the event is counted", async || stats().await["delivery"]["events"] == 1).await;
    let before = stats().await;
    assert!(before["delivery"]["seconds"].as_f64().unwrap() < 20.0, "{before}");
    let used = |stats: &Value| stats["cpuSeconds"].as_f64().unwrap();
    eventually("the process uses CPU", async || used(&stats().await) > used(&before)).await;
}
