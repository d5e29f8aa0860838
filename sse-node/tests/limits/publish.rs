//! How many events one may publish.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming};
use serde_json::{Value, json};
use ssefleet_tests::redis::Server;

use crate::{
    raw::{alone, among},
    support::{Node, send},
};

async fn post(node: &Node, content_type: &str, body: String) -> (Response<()>, Value) {
    let request = Request::post("/publish").header("host", "node").header("content-type", content_type);
    let answer: Response<Incoming> = send(node.publish, request.body(Full::new(Bytes::from(body))).unwrap()).await;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(head, ()), serde_json::from_slice(&body).unwrap())
}

fn events(count: usize) -> String {
    (0..count).map(|n| json!({"data": n})).collect::<Value>().to_string()
}

fn lines(count: usize) -> String {
    (0..count).map(|n| json!({"data": n}).to_string() + "\n").collect()
}

fn header<'a>(answer: &'a Response<()>, name: &str) -> &'a str {
    answer.headers()[name].to_str().unwrap()
}

#[tokio::test]
async fn a_body_costs_as_many_as_it_has_events_and_is_stored_all_or_not_at_all() {
    let node = alone(&json!({"publish": {"max": 10, "window": "1m", "message": "slow down"}}), json!({})).await;
    let mut reader = node.subscribe("/events").await;
    let (answer, body) = post(&node, "application/json", events(7)).await;
    assert_eq!((answer.status().as_u16(), body["ids"].as_array().unwrap().len()), (200, 7));
    assert_eq!(header(&answer, "ratelimit-remaining"), "3");
    let (answer, body) = post(&node, "application/json", events(4)).await;
    assert_eq!(body, json!({"type": "about:blank", "title": "Too Many Requests", "status": 429, "error": "slow down"}));
    assert_eq!(answer.status().as_u16(), 429);
    let reset: u64 = header(&answer, "ratelimit-reset").parse().unwrap();
    assert!((55..=60).contains(&reset), "{reset}");
    let told =
        ["ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "retry-after"].map(|name| header(&answer, name));
    assert_eq!(told, ["10;w=60", "10", "3", &reset.to_string()]);
    // A single event of any kind is one.
    assert_eq!(post(&node, "text/plain", "x".into()).await.0.status(), 200);
    assert_eq!(post(&node, "application/json", events(2)).await.0.status(), 200);
    assert_eq!(post(&node, "text/plain", "y".into()).await.0.status(), 429);
    assert_eq!(node.metric("ssefleet_node_publish_refused_total{reason=\"rate_limited\"}").await, 2);
    assert_eq!(reader.data().await, ["0", "1", "2", "3", "4", "5", "6", "x", "0", "1"]);
}

#[tokio::test]
async fn more_at_once_than_there_may_ever_be_is_told_so() {
    let node = alone(&json!({"publish": {"max": 10}}), json!({})).await;
    let (answer, body) = post(&node, "application/json", events(11)).await;
    assert_eq!(answer.status().as_u16(), 413);
    assert_eq!(body["error"], "these are 11 events, and rateLimits.publish takes 10 in 1s: send fewer at once");
    assert_eq!(post(&node, "application/json", events(10)).await.0.status(), 200, "it was not counted");
}

#[tokio::test]
async fn lines_wait_for_their_turn() {
    let node = alone(&json!({"publish": {"max": 10, "window": "1s"}}), json!({})).await;
    let begun = Instant::now();
    let (answer, body) = post(&node, "application/x-ndjson", lines(35)).await;
    assert_eq!((answer.status().as_u16(), body["ids"].as_array().unwrap().len()), (200, 35), "{body}");
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test]
async fn lines_whose_turn_is_far_off_are_refused_at_the_first_of_them() {
    let node = alone(&json!({"publish": {"max": 300, "window": "1h"}}), json!({})).await;
    let (answer, body) = post(&node, "application/x-ndjson", format!("\n{}", lines(1000))).await;
    assert_eq!(answer.status().as_u16(), 429, "{body}");
    let (line, stored) = (body["line"].as_u64().unwrap(), body["stored"].as_u64().unwrap());
    // After a blank line: as many batches as there is room for.
    assert_eq!(line, stored + 2);
    assert!((1..=300).contains(&stored), "{body}");
    assert!(header(&answer, "retry-after").parse::<u64>().unwrap() > 3000);
    assert_eq!(node.metric("ssefleet_node_events_published_total").await, stored);
}

#[tokio::test]
async fn publishers_are_counted_over_all_nodes_and_by_what_is_declared() {
    let mut server = Server::start().await;
    let limits = json!({"publish": {"max": 5, "window": "1h", "per": "Header", "header": "X-Api-Key"}, "whenRedisIsAway": "Refuse"});
    let (a, b) = (among(&server, &limits, json!({})).await, among(&server, &limits, json!({})).await);
    let publish = async |node: &Node, key: &str, count| {
        let request = Request::post("/publish").header("host", "node").header("x-api-key", key);
        let request = request.header("content-type", "application/json").body(Full::new(Bytes::from(events(count))));
        send(node.publish, request.unwrap()).await.status().as_u16()
    };
    assert_eq!(publish(&a, "one", 3).await, 200);
    assert_eq!(publish(&b, "one", 3).await, 429);
    assert_eq!(publish(&b, "one", 2).await, 200);
    assert_eq!(publish(&b, "two", 5).await, 200);
    server.kill().await;
    assert_eq!(publish(&a, "three", 1).await, 503);
    assert_eq!(a.metric("ssefleet_node_publish_refused_total{reason=\"limiter_away\"}").await, 1);
}
