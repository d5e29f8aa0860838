//! How many are let in, how long they stay, and what is said to those who are not.

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming};
use serde_json::{Value, json};
use sse_node::{
    Stop,
    broker::{Retention, memory::Memory},
};
use ssefleet_tests::sse::parser::Parser;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Node, send, stream};

async fn node(mut spec: Value) -> Node {
    spec["broker"] = json!({"memory": {}});
    spec["fleet"]["replicas"] = 1.into();
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(10_000)))).await
}

async fn ask(node: &Node, fields: &[(&str, &str)]) -> Response<Incoming> {
    let mut request = Request::get("/events").header("host", "node");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    send(node.public, request.body(Full::default()).unwrap()).await
}

const BROWSER: &[(&str, &str)] = &[("accept", "text/event-stream"), ("sec-fetch-mode", "cors")];
/// The same by plain HTTP.
const PLAINLY: &[(&str, &str)] = &[("accept", "text/event-stream"), ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")];

#[tokio::test]
async fn a_full_node_says_no_as_the_client_can_bear_it() {
    let refused = "ssefleet_node_connections_refused_total{reason=\"full\"}";
    for (with, asked, status) in [
        ("Auto", BROWSER, 200),
        ("Auto", PLAINLY, 200),
        ("Auto", &BROWSER[..1], 503),
        ("Auto", &PLAINLY[1..], 503),
        ("Status", BROWSER, 503),
        ("Retry", &[][..], 200),
    ] {
        let node = node(json!({"connections": {"maxPerPod": 1, "refuseWith": with, "retry": "2s"}})).await;
        let reader = node.subscribe("/events").await;
        let answer = ask(&node, asked).await;
        assert_eq!(answer.status(), status, "{with}");
        let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=5).contains(&after));
        if status == 200 {
            assert_eq!(answer.headers()["content-type"], "text/event-stream");
            assert_eq!(answer.headers()["x-accel-buffering"], "no");
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let mut parser = Parser::new("z-1");
            assert!(parser.feed(&body).is_empty());
            assert!((1000..=3000).contains(&parser.retry().unwrap()));
            assert_eq!(parser.last_event_id(), "z-1", "it comes back with the id that it has");
            assert!(String::from_utf8_lossy(&body).contains(": this node is full: it takes 1 subscribers\n"));
        }
        assert_eq!(node.metric(refused).await, 1);
        // One that leaves makes room.
        drop(reader);
        while node.metric("ssefleet_node_connections").await > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(&node, asked).await.status(), 200);
    }
}

#[tokio::test]
async fn a_connection_is_ended_when_it_is_old_and_told_to_come_back() {
    let node = node(json!({"connections": {"maxAge": "10s", "heartbeatInterval": "1s"}})).await;
    let begun = std::time::Instant::now();
    let mut reader = node.subscribe("/events").await;
    reader.ended().await;
    let age = begun.elapsed().as_secs_f64();
    assert!((8.9..13.0).contains(&age), "{age}");
    assert!(reader.raw.ends_with(": this connection is old enough; reconnect\n\n"), "{}", reader.raw);
    while node.metric("ssefleet_node_connections_closed_total{reason=\"max_age\"}").await == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn connections_are_listed_in_pages_and_by_what_is_asked() {
    let node = node(json!({})).await;
    let mut readers = Vec::new();
    for n in 0..5 {
        readers.push(node.subscribe(&format!("/events?topic=t{n}")).await);
    }
    node.publish(json!({"topic": "t1", "data": "x"})).await;
    readers[1].next().await;
    let list = async |query: &str| {
        let (status, text) = node.get(node.admin, &format!("/connections{query}")).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let first = list("?limit=2").await;
    assert_eq!((&first["total"], first["connections"].as_array().unwrap().len()), (&json!(5), 2));
    let second = list(&format!("?limit=2&after={}", first["next"])).await;
    let third = list(&format!("?limit=2&after={}", second["next"])).await;
    assert_eq!(third["next"], Value::Null);
    let ids = [&first, &second, &third].map(|page| page["connections"].as_array().unwrap().clone()).concat();
    let ids: Vec<u64> = ids.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted() && ids.len() == 5, "{ids:?}");
    let one = list("?topic=t1").await["connections"][0].take();
    assert_eq!((&one["events"], &one["lagEvents"], &one["blocked"]), (&json!(1), &json!(0), &json!(false)));
    assert!(one["bytes"].as_u64().unwrap() > 300, "{one}");
    assert!(one["lastWrite"].as_str().unwrap() >= one["created"].as_str().unwrap(), "{one}");
    assert_eq!(one["id"].to_string(), readers[1].response.headers["x-sse-connection"].to_str().unwrap());
    assert!(list("?lagging").await["connections"].as_array().unwrap().is_empty());
    assert!(list("?peer=10.").await["connections"].as_array().unwrap().is_empty());
    assert_eq!(list("?peer=127.0.0.1").await["connections"].as_array().unwrap().len(), 5);
    let (status, told) = node.get(node.admin, "/connections?limit=x").await;
    assert!(status == 400 && told.contains("limit must be a number"), "{told}");
}

/// A reader that never reads costs the node its socket's buffer, lags, and is let go; the others are not held up.
#[tokio::test]
async fn one_that_never_reads_is_let_go_and_holds_nobody_up() {
    let spec = json!({"connections": {"maxLag": "1s", "heartbeatInterval": "1s"}, "history": {"maxEvents": 10_000}});
    let node = node(spec).await;
    let mut deaf = TcpStream::connect(node.public).await.unwrap();
    deaf.write_all(b"GET /events HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
    let mut reader = node.subscribe("/events").await;
    let data = "x".repeat(100_000);
    let (mut published, closed) = (0, "ssefleet_node_connections_closed_total{reason=\"lagging\"}");
    while node.metric(closed).await == 0 {
        node.publish(json!({"data": data})).await;
        published += 1;
        assert_eq!(reader.data().await, [data.as_str()]);
        if published % 20 == 0 {
            let (_, list) = node.get(node.admin, "/connections?lagging").await;
            let list: Value = serde_json::from_str(&list).unwrap();
            assert!(list["connections"].as_array().unwrap().iter().all(|row| row["blocked"] == true), "{list}");
        }
        assert!(published < 3000, "it was never let go");
    }
    assert_eq!(node.metric("ssefleet_node_connections").await, 1);
}

#[tokio::test]
async fn the_admin_port_can_ask_for_the_drain_but_no_web_page() {
    let node = node(json!({"fleet": {"drain": {"timeout": "5s"}}})).await;
    let mut reader = node.subscribe("/events").await;
    let post = async |fields: &[(&str, &str)]| {
        let mut request = Request::post("/drain").header("host", "node");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        send(node.admin, request.body(Full::default()).unwrap()).await.status().as_u16()
    };
    assert_eq!(post(&[("origin", "https://evil.example")]).await, 403);
    assert_eq!(node.get(node.admin, "/readyz").await.0, 200);
    assert_eq!(post(&[]).await, 202);
    while node.get(node.admin, "/readyz").await.0 == 200 {
        tokio::task::yield_now().await;
    }
    reader.ended().await;
    assert!(reader.raw.contains(": this node is about to stop"), "{}", reader.raw);
    node.stopped().await;
}

#[tokio::test]
async fn who_comes_by_an_old_connection_while_the_node_drains_is_sent_on() {
    let mut node = node(json!({"fleet": {"drain": {"timeout": "10s", "reconnectsPerSecond": 1}}})).await;
    let _readers = [node.subscribe("/events").await, node.subscribe("/events").await];
    let socket = TcpStream::connect(node.public).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let request = || Request::get("http://node/events").header("accept", "text/event-stream");
    let (response, _) = client.send_request(request().body(()).unwrap(), true).unwrap();
    let mut stream = response.await.unwrap().into_body();
    node.stop(Stop::Interrupted);
    // The last words, or the end of the conversation: either way nobody is left hanging.
    while let Some(Ok(bytes)) = stream.data().await {
        stream.flow_control().release_capacity(bytes.len()).unwrap();
    }
    // No new connection is taken.
    let late = TcpStream::connect(node.public).await;
    assert!(late.is_err(), "still listening");
}
