//! `/tap`: what is written to a connection or a topic, while it happens.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming};
use serde_json::json;
use sse_node::{
    Stop,
    broker::{Retention, memory::Memory},
};
use tokio::time::timeout;

use crate::support::{Node, PATIENCE, eventually, send, stream};

async fn node() -> Node {
    let spec = json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}});
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}

async fn tap(node: &Node, query: &str) -> Response<Incoming> {
    let request = Request::get(format!("/tap?{query}")).header("host", "node");
    send(node.admin, request.body(Full::default()).unwrap()).await
}

/// Reads a tap until it has shown something.
async fn shown(tap: &mut Incoming, until: &str) -> String {
    let mut text = String::new();
    while !text.contains(until) {
        let frame = timeout(PATIENCE, tap.frame()).await.unwrap_or_else(|_| panic!("no {until:?} in {text}"));
        let frame = frame.unwrap_or_else(|| panic!("it is over: {text}"));
        text += str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
    }
    text
}

#[tokio::test]
async fn a_connection_is_shown_byte_by_byte_until_it_ends() {
    let mut node = node().await;
    let mut reader = node.subscribe("/events?topic=a").await;
    let mut other = node.subscribe("/events").await;
    let id = reader.response.headers["x-sse-connection"].to_str().unwrap().to_owned();
    let mut tapped = tap(&node, &format!("connection={id}")).await.into_body();
    node.publish(json!({"topic": "b", "data": "for the other"})).await;
    let ids = node.publish(json!([{"topic": "a", "data": "one"}, {"topic": "a", "data": "two"}])).await;
    reader.data::<2>().await;
    let frames: Vec<_> =
        [("one", &ids[0]), ("two", &ids[1])].iter().map(|(data, id)| format!("id: {id}\ndata: {data}\n\n")).collect();
    let chunks: Vec<_> = frames.iter().map(|frame| format!("{:x}\r\n{frame}\r\n", frame.len())).collect();
    assert_eq!(shown(&mut tapped, "two\n\n\r\n").await, chunks.concat(), "literally what the socket got");
    node.stop(Stop::Interrupted);
    let end = shown(&mut tapped, "[tap: the connection has ended]\n").await;
    assert!(end.contains("\r\n0\r\n\r\n\n[tap:"), "{end}");
    assert!(tapped.frame().await.is_none());
    other.data::<3>().await;
}

#[tokio::test]
async fn a_newer_tap_takes_the_place_of_an_older_one() {
    let node = node().await;
    let reader = node.subscribe("/events").await;
    let which = format!("connection={}", reader.response.headers["x-sse-connection"].to_str().unwrap());
    let mut first = tap(&node, &which).await.into_body();
    let mut second = tap(&node, &which).await.into_body();
    assert_eq!(shown(&mut first, "\n[").await, "\n[tap: another tap of this connection has begun]\n");
    node.publish(json!({"data": "hello"})).await;
    shown(&mut second, "data: hello\n\n").await;
    // Who leaves is noticed, and the connection goes on.
    drop(second);
    let mut reader = reader;
    for n in 0..3 {
        node.publish(json!({"data": n})).await;
    }
    assert_eq!(reader.data().await, ["hello", "0", "1", "2"]);
}

#[tokio::test]
async fn topics_are_shown_whoever_subscribes() {
    let node = node().await;
    let mut tapped = tap(&node, "topic=orders*").await.into_body();
    let ids = node.publish(json!([{"topic": "other", "data": 1}, {"topic": "orders/1", "data": 2}])).await;
    assert_eq!(shown(&mut tapped, "2\n\n").await, format!("id: {}\ndata: 2\n\n", ids[1]));
    assert_eq!(node.metric("ssefleet_node_connections").await, 0, "it takes no subscriber's place");
    assert_eq!(node.metric("ssefleet_node_taps").await, 1);
}

#[tokio::test]
async fn what_cannot_be_shown_is_told_and_there_are_few_at_a_time() {
    let node = node().await;
    for (query, status, told) in [
        ("connection=999", 404, "no connection 999 here"),
        ("connection=x", 400, "must be a number"),
        ("topic=a*b", 400, "for a prefix"),
        ("", 400, "/tap?connection=ID"),
        ("topic=a&topic=b", 400, "/tap?connection=ID"),
        ("peer=1", 400, "there are connection and topic"),
    ] {
        let (found, text) = node.get(node.admin, &format!("/tap?{query}")).await;
        assert!(found == status && text.contains(told), "{query}: {found} {text}");
    }
    let page = Request::get("/tap?topic=a").header("host", "node").header("origin", "https://example.com");
    assert_eq!(send(node.admin, page.body(Full::default()).unwrap()).await.status(), 403);

    let mut taps = Vec::new();
    for _ in 0..8 {
        taps.push(tap(&node, "topic=a").await);
    }
    let ninth = tap(&node, "topic=a").await;
    assert_eq!(ninth.status(), 503);
    taps.truncate(3);
    eventually("places of those who left are free", async || node.metric("ssefleet_node_taps").await == 3).await;
    assert_eq!(tap(&node, "topic=a").await.status(), 200);
}

#[tokio::test]
async fn a_tap_that_is_not_read_holds_nobody_up() {
    let node = node().await;
    let mut reader = node.subscribe("/events").await;
    let which = format!("connection={}", reader.response.headers["x-sse-connection"].to_str().unwrap());
    let mut tapped = tap(&node, &which).await.into_body();
    let large = "x".repeat(100_000);
    for _ in 0..100 {
        node.publish(json!({"data": large})).await;
        assert_eq!(reader.next().await.data.len(), large.len());
    }
    let told = shown(&mut tapped, "data").await;
    assert!(!told.contains("[tap"), "{}", told.len());
    // What was left out is told when there is room again.
    let publishing = async {
        loop {
            node.publish(json!({"data": "x"})).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        told = shown(&mut tapped, "bytes were left out here, as it is read too slowly]\n") => assert!(told.len() < 9_000_000),
        () = publishing => {}
    }
}
