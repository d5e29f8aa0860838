//! Stopping: not ready at once, streams closed cleanly at the declared rate, nothing acknowledged lost.

use std::{sync::Arc, time::Instant};

use serde_json::json;
use sse_node::{
    Stop,
    broker::{Retention, memory::Memory},
};

use tokio::net::TcpStream;

use crate::support::{Node, stream};

async fn node(drain: serde_json::Value) -> Node {
    let spec = json!({"fleet": {"replicas": 1, "drain": drain}, "broker": {"memory": {}}});
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}

#[tokio::test]
async fn a_node_that_is_to_stop_is_not_ready_and_still_serves_until_proxies_know() {
    let mut node = node(json!({"timeout": "10s"})).await;
    let mut reader = node.subscribe("/events").await;
    node.stop(Stop::Terminated);
    while node.get(node.admin, "/readyz").await.0 == 200 {
        tokio::task::yield_now().await;
    }
    // A proxy that has not heard yet still sends subscribers and publishers here.
    let mut late = node.subscribe("/events").await;
    node.publish(json!({"data": "last"})).await;
    for reader in [&mut reader, &mut late] {
        assert_eq!(reader.data().await, ["last"]);
        reader.ended().await;
        assert!(reader.raw.ends_with(": this node is about to stop; reconnect to another\n\n"), "{}", reader.raw);
    }
    node.stopped().await;
}

#[tokio::test]
async fn a_node_that_nobody_is_connected_to_stays_a_while_with_its_port_closed() {
    let mut node = node(json!({"timeout": "10s"})).await;
    let begun = Instant::now();
    node.stop(Stop::Terminated);
    while TcpStream::connect(node.public).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.get(node.admin, "/healthz").await.0, 200, "it is gone already");
    node.stopped().await;
    assert!((4.9..9.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn streams_close_at_the_declared_rate() {
    let mut node = node(json!({"reconnectsPerSecond": 20})).await;
    let mut readers = Vec::new();
    for _ in 0..30 {
        readers.push(node.subscribe("/events").await);
    }
    node.stop(Stop::Interrupted);
    let begun = Instant::now();
    let closed = futures_util::future::join_all(readers.iter_mut().map(async |reader| {
        reader.ended().await;
        begun.elapsed()
    }));
    let mut closed = closed.await;
    closed.sort_unstable();
    // 30 at 20 a second take 1.5 s; half of them must be left at half that time.
    assert!(closed[29].as_secs_f64() > 1.2, "{closed:?}");
    assert!(closed[14].as_secs_f64() > 0.5, "{closed:?}");
    node.stopped().await;
}

#[tokio::test]
async fn what_is_left_at_the_deadline_is_closed() {
    let mut node = node(json!({"timeout": "5s", "reconnectsPerSecond": 1})).await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        readers.push(node.subscribe("/events").await);
    }
    node.stop(Stop::Interrupted);
    let begun = Instant::now();
    node.stopped().await;
    assert!(begun.elapsed().as_secs_f64() > 4.5 && begun.elapsed().as_secs_f64() < 8.0, "{:?}", begun.elapsed());
}
