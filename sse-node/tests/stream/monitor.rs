//! What a node tells of itself: the few figures as JSON, and where replayed events came from.

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use serde_json::{Value, json};
use sse_node::broker::{Retention, memory::Memory};

use crate::{
    coded::Client,
    support::{Node, eventually, send, stream},
};

async fn node(history: Value) -> Node {
    let spec = json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}, "history": history});
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(10_000)))).await
}

async fn metrics(node: &Node, accept: &str) -> (String, String) {
    let request = Request::get("/metrics").header("host", "node").header("accept", accept);
    let response = send(node.admin, request.body(Full::default()).unwrap()).await;
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (content_type, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn metrics_are_json_for_those_who_ask_for_it_and_text_for_prometheus() {
    let node = node(json!({})).await;
    let mut reader = node.subscribe("/events").await;
    let id = node.publish(json!({"data": "x"})).await.remove(0);
    reader.next().await;
    drop(reader);
    node.resume("/events", &id).await;
    eventually("both are gone", async || node.metric("ssefleet_node_connections").await == 0).await;
    let (content_type, body) = metrics(&node, "application/json").await;
    assert_eq!(content_type, "application/json");
    let mut told: Value = serde_json::from_str(&body).unwrap();
    let timestamp = told["timestamp"].take();
    let wanted = json!({
        "totalConnections": 2, "activeConnections": 0, "messagesSent": 1, "errors": 0, "reconnections": 1,
        "timestamp": null,
    });
    assert_eq!(told, wanted);
    let time: jiff::Timestamp = timestamp.as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(time).as_secs() < 60, "{timestamp}");
    // What Prometheus sends.
    let (content_type, text) =
        metrics(&node, "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1")
            .await;
    assert!(content_type.starts_with("text/plain") && text.starts_with("# HELP"), "{content_type} {text}");
    assert!(metrics(&node, "*/*").await.1.starts_with("# HELP"));
}

#[tokio::test]
async fn where_replayed_events_came_from_is_counted() {
    let node = node(json!({"maxEvents": 300})).await;
    let mut ids = Vec::new();
    for from in [0, 200, 400] {
        ids.extend(node.publish(json!((from..from + 200).map(|n| json!({"data": n})).collect::<Vec<_>>())).await);
    }
    eventually("the ring has the newest", async || node.metric("ssefleet_node_ring_events").await == 300).await;
    let figures = async || {
        let figure = async |name| node.metric(&format!("ssefleet_node_{name}")).await;
        [
            figure("replay_hits_total{from=\"ring\"}").await > 0,
            figure("replay_hits_total{from=\"page\"}").await > 0,
            figure("replay_misses_total").await > 0,
        ]
    };
    assert_eq!(figures().await, [false, false, false]);
    node.resume("/events", &ids[500]).await.data::<99>().await;
    assert_eq!(figures().await, [true, false, false], "from the ring alone");
    node.resume("/events", &ids[0]).await.data::<599>().await;
    assert_eq!(figures().await, [true, false, true], "the first one waits for the broker");
    node.resume("/events", &ids[0]).await.data::<599>().await;
    assert_eq!(figures().await, [true, true, true], "the second finds what was read for the first");
}

#[tokio::test]
async fn the_way_from_publisher_to_socket_is_timed_once_for_each_event() {
    let node = node(json!({})).await;
    let mut readers = Vec::new();
    for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
        readers.push(node.subscribe("/events").await);
    }
    for n in 0..10 {
        node.publish(json!({"data": n})).await;
    }
    for reader in &mut readers {
        reader.data::<10>().await;
    }
    // Once by each shard, however many subscribers it has.
    let times = 10 * std::thread::available_parallelism().unwrap().get() as u64;
    let count = async || node.metric("ssefleet_node_publish_latency_seconds_count").await;
    eventually("all are timed", async || count().await == times).await;
    let (_, text) = metrics(&node, "text/plain").await;
    let minute = format!("ssefleet_node_publish_latency_seconds_bucket{{le=\"60\"}} {times}\n");
    assert!(text.contains(&minute), "{text}");
}

/// Looked at each second, those who lag are counted by how far.
#[tokio::test]
async fn those_who_lag_are_seen() {
    let node = node(json!({})).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let socket = socket.connect(node.public).await.unwrap();
    let client = Client::subscribe(socket, hyper::Version::HTTP_11, "identity").await;
    let lags = async || node.metric("ssefleet_node_lag_seconds_count").await;
    let large = "x".repeat(200_000);
    let publishing = async {
        loop {
            node.publish(json!({"data": large})).await;
        }
    };
    tokio::select! {
        () = publishing => {}
        () = eventually("a lag is seen", async || lags().await > 0) => {}
    }
    drop(client);
}
