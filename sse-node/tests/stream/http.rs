//! Subscribing and publishing, and what is said to those who ask for something else.

use std::sync::Arc;

use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use sse_node::broker::{Retention, memory::Memory};

use crate::support::{Node, send, stream};

async fn node(spec: Value) -> Node {
    let mut spec = spec;
    spec["broker"] = json!({"memory": {}});
    spec["fleet"]["replicas"] = 1.into();
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}

#[tokio::test]
async fn a_subscriber_gets_what_is_published_from_then_on() {
    let node = node(json!({})).await;
    node.publish(json!({"data": "before"})).await;
    let mut reader = node.subscribe("/events").await;
    assert_eq!(reader.response.headers["content-type"], "text/event-stream");
    assert_eq!(reader.response.headers["cache-control"], "no-cache, no-transform");
    assert_eq!(reader.response.headers["x-accel-buffering"], "no");
    assert_eq!(reader.response.headers["x-sse-node"], "node-0");

    let ids = node.publish(json!([{"data": "a\nb", "event": "trade"}, {"data": {"x": 1}}])).await;
    let first = reader.next().await;
    assert_eq!((first.id.as_str(), first.event.as_str(), first.data.as_str()), (&*ids[0], "trade", "a\nb"));
    let second = reader.next().await;
    assert_eq!((second.id.as_str(), second.event.as_str(), second.data.as_str()), (&*ids[1], "message", "{\"x\":1}"));
}

#[tokio::test]
async fn retry_is_within_half_of_what_is_configured() {
    let node = node(json!({"connections": {"retry": "2s"}})).await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20 {
        let retry = node.subscribe("/events").await.retry();
        assert!((1000..=3000).contains(&retry), "{retry}");
        seen.insert(retry);
    }
    assert!(seen.len() > 5, "{seen:?}");
}

#[tokio::test]
async fn topics_are_exact_or_prefixes() {
    let node = node(json!({"path": "/s"})).await;
    let mut some = node.subscribe("/s?topic=a&topic=orders*").await;
    let mut all = node.subscribe("/s").await;
    for topic in ["a", "b", "orders/1", "order", "ab"] {
        node.publish(json!({"topic": topic, "data": topic})).await;
    }
    node.publish(json!({"topic": "a", "data": "end"})).await;
    assert_eq!(some.data().await, ["a", "orders/1", "end"]);
    assert_eq!(all.data().await, ["a", "b", "orders/1", "order", "ab", "end"]);
}

#[tokio::test]
async fn every_form_of_publication_arrives() {
    let node = node(json!({})).await;
    let mut reader = node.subscribe("/events").await;
    for (path, content_type, body) in [
        ("/publish", Some("application/x-ndjson"), "{\"data\":1}\n{\"data\":2}\n"),
        ("/publish?topic=x&event=e", Some("text/plain"), "3\r\nid: forged"),
        ("/publish", None, "{\"data\":4}"),
    ] {
        let (status, answer) = node.post(path, content_type, body).await;
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(reader.data().await, ["1", "2"]);
    let raw = reader.next().await;
    assert_eq!((raw.event.as_str(), raw.data.as_str()), ("e", "3\nid: forged"));
    assert_ne!(raw.id, "forged");
    assert_eq!(reader.data().await, ["4"]);
}

#[tokio::test]
async fn silence_is_broken_by_heartbeats_that_carry_the_position() {
    let node = node(json!({"connections": {"heartbeatInterval": "1s"}})).await;
    let mut quiet = node.subscribe("/events?topic=quiet").await;
    let comment = quiet.until(|reader| reader.raw.contains("\n:\n\n")).await;
    assert!(comment, "no heartbeat: {}", quiet.raw);
    let ids = node.publish(json!([{"topic": "busy", "data": 1}, {"topic": "busy", "data": 2}])).await;
    let told = quiet.until(|reader| reader.last_event_id() == ids[1]).await;
    assert!(told, "the position did not move: {}", quiet.raw);
    assert!(!quiet.raw.contains("data:"), "{}", quiet.raw);
}

#[tokio::test]
async fn bad_requests_get_a_sentence() {
    let node = node(json!({"history": {"maxEventBytes": 10}})).await;
    let error = |(status, body): (u16, String)| {
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["status"], status);
        (status, problem["error"].as_str().unwrap().to_owned())
    };
    let json = Some("application/json");
    let (status, told) = error(node.post("/publish", json, "{\"data\":").await);
    assert!(status == 400 && told.contains("EOF"), "{told}");
    let (status, told) = error(node.post("/publish", json, r#"{"data":"12345678901"}"#).await);
    assert!(status == 413 && told.contains("history.maxEventBytes, 10"), "{told}");
    let (status, told) = error(node.post("/publish", None, vec![b'x'; 9 << 20]).await);
    assert!(status == 413 && told.contains("send fewer events"), "{told}");
    let (status, told) = error(node.post("/elsewhere", None, "").await);
    assert!(status == 404 && told.contains("POST /publish"), "{told}");
    let (status, told) = error(node.get(node.publish, "/publish").await);
    assert!(status == 405 && told.contains("POST"), "{told}");
    let (status, told) = error(node.get(node.public, "/event").await);
    assert!(status == 404 && told.contains("/events"), "{told}");
    let (status, told) = error(node.get(node.public, "/events?topic=a*b").await);
    assert!(status == 400 && told.contains("for a prefix"), "{told}");
    let (status, told) = error(node.get(node.admin, "/").await);
    assert!(status == 404 && told.contains("/metrics"), "{told}");
    assert_eq!(node.metric("ssefleet_node_publish_refused_total{reason=\"too_large\"}").await, 2);
}

#[tokio::test]
async fn other_methods_are_answered_properly() {
    let node = node(json!({})).await;
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).header("host", "node");
        send(node.public, request.body(Full::default()).unwrap()).await
    };
    let head = ask("HEAD", "/events").await;
    assert_eq!((head.status().as_u16(), &head.headers()["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    let options = ask("OPTIONS", "/events").await;
    assert_eq!((options.status().as_u16(), &options.headers()["allow"]), (204, &"GET, HEAD, OPTIONS".parse().unwrap()));
    let post = ask("POST", "/events").await;
    assert_eq!((post.status().as_u16(), &post.headers()["allow"]), (405, &"GET, HEAD, OPTIONS".parse().unwrap()));
    assert_eq!(ask("GET", "/health").await.status(), 200);
}

#[tokio::test]
async fn a_full_node_refuses_and_says_when_to_come_back() {
    let node = node(json!({"connections": {"maxPerPod": 2}})).await;
    let readers = [node.subscribe("/events").await, node.subscribe("/events").await];
    let request = Request::get("/events").header("host", "node").body(Full::default()).unwrap();
    let refused = send(node.public, request).await;
    assert_eq!(refused.status(), 503);
    let after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=5).contains(&after));
    drop(readers);
    while node.metric("ssefleet_node_connections").await > 0 {
        tokio::task::yield_now().await;
    }
    node.subscribe("/events").await;
}

#[tokio::test]
async fn what_happens_is_counted() {
    let node = node(json!({})).await;
    let mut reader = node.subscribe("/events").await;
    let id = node.publish(json!({"data": "x"})).await.remove(0);
    reader.next().await;
    let (_, stats) = node.get(node.admin, "/stats").await;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["activeConnections"], 1);
    assert_eq!(stats["messagesSent"], 1);
    assert_eq!(stats["position"], id);
    for name in ["connections", "events_published_total", "events_received_total", "events_sent_total", "broker_up"] {
        assert_eq!(node.metric(&format!("ssefleet_node_{name}")).await, 1, "{name}");
    }
    assert!(node.metric("ssefleet_node_bytes_sent_total").await > 20);
}

/// docs/metrics.md is the list that operators read; it must name what there is, and nothing else.
#[tokio::test]
async fn the_documented_metrics_are_those_there_are() {
    let node = node(json!({"connections": {"maxPerPod": 1}})).await;
    let reader = node.subscribe("/events").await;
    node.get(node.public, "/events").await; // refused
    node.post("/publish", None, "\0").await; // refused
    drop(reader);
    while node.metric("ssefleet_node_connections").await > 0 {
        tokio::task::yield_now().await;
    }
    let (_, text) = node.get(node.admin, "/metrics").await;
    let mut there: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let docs = include_str!("../../../docs/metrics.md");
    let mut listed: Vec<_> =
        docs.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next()).collect();
    listed.retain(|name| name.starts_with("ssefleet_node_"));
    there.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, there);
}
