//! Publishing once, by keys and as CloudEvents, and what publishers are told.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use serde_json::{Value, json};
use sse_node::broker::{
    Broker, Retention,
    memory::Memory,
    redis::{Address, Redis},
};
use ssefleet_tests::redis::Server;

use crate::support::{Node, send, stream};

async fn node(spec: Value) -> Node {
    let mut spec = spec;
    spec["broker"] = json!({"memory": {}});
    spec["fleet"]["replicas"] = 1.into();
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}

/// The status, the headers and the JSON of the answer.
async fn post(node: &Node, query: &str, headers: &[(&str, &str)], body: &str) -> (u16, HeaderMap, Value) {
    let mut request = Request::post(format!("/publish{query}")).header("host", "node");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = send(node.publish, request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status.as_u16(), head.headers, serde_json::from_slice(&body).unwrap())
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_retry_with_the_same_key_is_answered_alike_and_stored_once() {
    let node = node(json!({})).await;
    let mut reader = node.subscribe("/events").await;
    let headers = [JSON, ("idempotency-key", "\"8e03978e\"")];
    let body = r#"[{"data":1},{"data":2}]"#;
    let (status, first, ids) = post(&node, "", &headers, body).await;
    assert_eq!((status, first.get("idempotency-replayed")), (200, None), "{ids}");
    let (status, again, replayed) = post(&node, "", &headers, body).await;
    assert_eq!((status, &again["idempotency-replayed"], &replayed), (200, &"true".parse().unwrap(), &ids));

    let (status, _, problem) = post(&node, "", &headers, r#"{"data":3}"#).await;
    assert!(status == 422 && problem["error"].as_str().unwrap().contains("was used for other events"), "{problem}");
    let (status, _, problem) = post(&node, "", &[JSON, ("idempotency-key", "a b")], body).await;
    assert!(status == 400 && problem["error"].as_str().unwrap().contains("visible ASCII"), "{problem}");

    // All or none, NDJSON too.
    let lines = [("content-type", "application/x-ndjson"), ("idempotency-key", "lines")];
    assert_eq!(post(&node, "", &lines, "{\"data\":8}\n{\"dat\":9}").await.0, 400);
    assert_eq!(post(&node, "", &lines, "{\"data\":8}\n{\"data\":9}").await.0, 200);
    node.publish(json!({"data": "end"})).await;
    assert_eq!(reader.data().await, ["1", "2", "8", "9", "end"]);
    assert_eq!(node.metric("ssefleet_node_events_published_total").await, 5);
    assert_eq!(node.metric("ssefleet_node_publish_replayed_total").await, 1);
    for reason in ["conflict", "bad_key", "bad_event"] {
        assert_eq!(node.metric(&format!("ssefleet_node_publish_refused_total{{reason=\"{reason}\"}}")).await, 1);
    }
}

#[tokio::test]
async fn a_retry_on_another_node_is_stored_once() {
    let server = Server::start().await;
    let spec = json!({"broker": {"redis": {"external": {"url": server.url()}}}});
    let start = async || {
        let address = Address::new(server.url());
        let broker = Redis::new(address, "log".into(), Retention::of_events(100));
        Node::start(stream(&spec), Arc::new(broker)).await
    };
    let (one, two) = (start().await, start().await);
    let mut reader = two.subscribe("/events").await;
    let headers = [JSON, ("idempotency-key", "k")];
    let (_, _, ids) = post(&one, "", &headers, r#"{"data":1}"#).await;
    let (status, headers, replayed) = post(&two, "", &headers, r#"{"data":1}"#).await;
    assert_eq!((status, headers.contains_key("idempotency-replayed"), replayed), (200, true, ids));
    two.publish(json!({"data": "end"})).await;
    assert_eq!(reader.data().await, ["1", "end"]);
}

#[tokio::test]
async fn cloud_events_arrive_whole_whatever_their_mode() {
    let node = node(json!({})).await;
    let mut orders = node.subscribe("/events?topic=orders").await;
    let event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "placed", "subject": "orders", "data": {"n": 1}});
    let structured = [("content-type", "application/cloudevents+json")];
    let (status, _, answer) = post(&node, "", &structured, &serde_json::to_string_pretty(&event).unwrap()).await;
    assert_eq!(status, 200, "{answer}");
    // Its source and id say that it is the same.
    let (status, headers, again) = post(&node, "", &structured, &event.to_string()).await;
    assert_eq!((status, headers.contains_key("idempotency-replayed"), again), (200, true, answer));

    let binary = [
        ("content-type", "text/plain"),
        ("ce-specversion", "1.0"),
        ("ce-id", "2"),
        ("ce-source", "/s"),
        ("ce-type", "paid"),
    ];
    assert_eq!(post(&node, "?topic=orders", &binary, "a\nb").await.0, 200);
    let batch = [("content-type", "application/cloudevents-batch+json")];
    assert_eq!(post(&node, "", &batch, &json!([event]).to_string()).await.0, 200);

    let mut next = async || {
        let got = orders.next().await;
        (got.event, serde_json::from_str::<Value>(&got.data).unwrap())
    };
    assert_eq!(next().await, ("placed".into(), event.clone()));
    let (name, paid) = next().await;
    assert_eq!(
        (name.as_str(), &paid["data"], &paid["datacontenttype"]),
        ("paid", &json!("a\nb"), &json!("text/plain"))
    );
    assert_eq!(next().await, ("placed".into(), event));
    let (status, _, problem) = post(&node, "", &structured, "{}").await;
    assert!(status == 400 && problem["error"].as_str().unwrap().contains("specversion is missing"), "{problem}");
}

#[tokio::test]
async fn the_log_keeps_how_long_an_event_is_worth_sending() {
    let broker = Arc::new(Memory::new(Retention::of_events(100)));
    let spec = json!({"broker": {"memory": {}}, "fleet": {"replicas": 1}});
    let node = Node::start(stream(&spec), broker.clone()).await;
    node.publish(json!({"data": 1, "ttl": "30s"})).await;
    assert_eq!(post(&node, "?ttl=1m30s", &[], "raw").await.0, 200);
    let first = broker.open().await.unwrap().first;
    let log = broker.read_after(first.before(), 10).await.unwrap();
    assert_eq!(log.iter().map(|event| event.expires().unwrap() - event.at).collect::<Vec<_>>(), [30_000, 90_000]);
    let (status, _, problem) = post(&node, "?ttl=soon", &[], "raw").await;
    assert!(status == 400 && problem["error"].as_str().unwrap().contains("a Go duration"), "{problem}");
}

#[tokio::test]
async fn a_publisher_that_gets_503_is_told_when_to_come_back_and_what_may_be_stored() {
    let mut server = Server::start().await;
    let spec = json!({"broker": {"redis": {"external": {"url": server.url()}}}});
    let address = Address::new(server.url());
    let broker = Redis::new(address, "log".into(), Retention::of_events(100));
    let node = Node::start(stream(&spec), Arc::new(broker)).await;
    let refused = async || {
        let (status, headers, problem) = post(&node, "", &[JSON], r#"{"data":1}"#).await;
        let after: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(status == 503 && (1..=5).contains(&after), "{status} {after}");
        problem["error"].as_str().unwrap().to_owned()
    };
    node.publish(json!({"data": 1})).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let told = refused().await;
    assert!(told.contains("no room left: none of these was stored"), "{told}");
    server.kill().await;
    // Sent on the connection that is dead by now, then not sent at all.
    let told = refused().await;
    assert!(told.contains("may or may not have been stored"), "{told}");
    let told = refused().await;
    assert!(told.contains("none of these was stored; try again"), "{told}");
}
