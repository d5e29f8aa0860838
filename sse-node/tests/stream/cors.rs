//! S6: which web pages may read the stream, by what a browser is told.

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use serde_json::{Value, json};
use sse_node::broker::{Retention, memory::Memory};

use crate::support::{Node, send, stream};

async fn node(cors: Value) -> Node {
    let spec = json!({"broker": {"memory": {}}, "fleet": {"replicas": 1}, "cors": cors});
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}

/// The header fields of an answer that are about CORS, as text.
fn told(headers: &HeaderMap) -> String {
    let mut told: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("access-control-") || *name == "vary")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    told.sort();
    told.join("\n")
}

async fn ask(node: &Node, method: &str, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let mut request = Request::builder().method(method).uri(path).header("host", "node");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = send(node.public, request.body(Full::default()).unwrap()).await;
    let answer = (response.status().as_u16(), told(response.headers()));
    if answer.0 != 200 || method != "GET" {
        response.into_body().collect().await.unwrap();
    }
    answer
}

const LISTED: (&str, &str) = ("origin", "https://app.example.com");
const UNLISTED: (&str, &str) = ("origin", "https://evil.example.net");
const PREFLIGHT: [(&str, &str); 2] =
    [("access-control-request-method", "GET"), ("access-control-request-headers", "cache-control,last-event-id")];

#[tokio::test]
async fn a_listed_origin_may_read_with_credentials() {
    let node = node(json!({"allowedOrigins": ["https://app.example.com"], "allowCredentials": true})).await;
    let expected = "access-control-allow-credentials: true
access-control-allow-origin: https://app.example.com
access-control-expose-headers: ratelimit-limit, ratelimit-policy, ratelimit-remaining, ratelimit-reset, retry-after, x-sse-connection, x-sse-node
vary: origin";
    assert_eq!(ask(&node, "GET", "/events", &[LISTED]).await, (200, expected.into()));
    assert_eq!(ask(&node, "HEAD", "/events", &[LISTED]).await, (200, expected.into()));
    // A refusal can be read too.
    let bad = ask(&node, "GET", "/events?topic=a*b", &[LISTED]).await;
    assert_eq!(bad, (400, expected.into()));
}

#[tokio::test]
async fn a_preflight_is_answered_with_200_and_for_how_long() {
    let node = node(json!({"allowedOrigins": ["https://*.example.com"], "maxAge": "5m"})).await;
    let fields = [LISTED, PREFLIGHT[0], PREFLIGHT[1]];
    let expected = "access-control-allow-headers: authorization, cache-control, last-event-id
access-control-allow-methods: GET, HEAD
access-control-allow-origin: https://app.example.com
access-control-max-age: 300
vary: origin";
    assert_eq!(ask(&node, "OPTIONS", "/events", &fields).await, (200, expected.into()));
    let fields = [UNLISTED, PREFLIGHT[0], PREFLIGHT[1]];
    assert_eq!(ask(&node, "OPTIONS", "/events", &fields).await, (200, "vary: origin".into()));
    // Not a preflight: what is allowed here.
    assert_eq!(ask(&node, "OPTIONS", "/events", &[]).await.0, 204);
}

#[tokio::test]
async fn an_unlisted_origin_is_told_no_more_than_none() {
    let listed = node(json!({"allowedOrigins": ["https://app.example.com"]})).await;
    for origin in [UNLISTED, ("origin", "null"), ("origin", "https://app.example.com.evil.example.net")] {
        assert_eq!(ask(&listed, "GET", "/events?topic=a", &[origin]).await, (200, "vary: origin".into()));
    }
    let without = node(Value::Null).await;
    assert_eq!(ask(&without, "GET", "/events", &[LISTED]).await, (200, String::new()));
    assert_eq!(ask(&without, "OPTIONS", "/events", &[LISTED, PREFLIGHT[0]]).await, (204, String::new()));
}
