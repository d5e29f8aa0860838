//! Coming back: nothing lost, nothing twice, and what is gone is said.

use std::sync::Arc;

use serde_json::{Value, json};
use sse_node::broker::{
    Broker, Retention,
    memory::Memory,
    redis::{Address, Redis},
};
use ssefleet_tests::redis::Server;

use crate::support::{Node, eventually, stream};

const SPEC: &str = r#"{"fleet": {"replicas": 1}, "broker": {"memory": {}}, "history": {"maxEvents": 100}}"#;

fn spec() -> Value {
    serde_json::from_str(SPEC).unwrap()
}

fn redis(server: &Server) -> Arc<dyn Broker> {
    let address = Address::new(server.url());
    Arc::new(Redis::new(address, "log".into(), Retention::of_events(100)))
}

async fn memory() -> Node {
    Node::start(stream(&spec()), Arc::new(Memory::new(Retention::of_events(100)))).await
}

async fn publish(node: &Node, numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    node.publish(numbers.map(|n| json!({"data": n.to_string()})).collect()).await
}

#[tokio::test]
async fn a_subscriber_resumes_after_its_last_event_by_header_or_query() {
    let node = memory().await;
    let ids = publish(&node, 1..=5).await;
    assert_eq!(node.resume("/events", &ids[2]).await.data().await, ["4", "5"]);
    assert_eq!(node.subscribe(&format!("/events?lastEventId={}", ids[3])).await.data().await, ["5"]);
    let header_wins = format!("/events?lastEventId={}", ids[0]);
    assert_eq!(node.resume(&header_wins, &ids[3]).await.data().await, ["5"]);
}

#[tokio::test]
async fn a_subscriber_that_got_no_event_yet_resumes_from_where_it_began() {
    let node = memory().await;
    publish(&node, 1..=2).await;
    let begun = node.subscribe("/events").await.last_event_id().to_owned();
    publish(&node, 3..=4).await;
    assert_eq!(node.resume("/events", &begun).await.data().await, ["3", "4"]);
}

#[tokio::test]
async fn a_resume_keeps_to_its_topics() {
    let node = memory().await;
    let ids =
        node.publish(json!([{"data": 1}, {"topic": "a", "data": 2}, {"data": 3}, {"topic": "a", "data": 4}])).await;
    assert_eq!(node.resume("/events?topic=a", &ids[0]).await.data().await, ["2", "4"]);
}

#[tokio::test]
async fn another_node_goes_on_where_the_first_stopped() {
    let server = Server::start().await;
    let (one, two) =
        (Node::start(stream(&spec()), redis(&server)).await, Node::start(stream(&spec()), redis(&server)).await);
    let mut reader = one.subscribe("/events").await;
    publish(&one, 1..=3).await;
    assert_eq!(reader.data().await, ["1", "2", "3"]);
    publish(&two, 4..=6).await;
    assert_eq!(two.resume("/events", reader.last_event_id()).await.data().await, ["4", "5", "6"]);
    // The reader that stayed got them too, once.
    assert_eq!(reader.data().await, ["4", "5", "6"]);
}

#[tokio::test]
async fn what_a_new_node_has_not_in_memory_comes_from_the_broker() {
    let server = Server::start().await;
    let one = Node::start(stream(&spec()), redis(&server)).await;
    let ids = publish(&one, 1..=90).await;
    let two = Node::start(stream(&spec()), redis(&server)).await;
    let mut reader = two.resume("/events", &ids[9]).await;
    publish(&one, 91..=95).await;
    for n in 11..=95 {
        assert_eq!(reader.data().await, [n.to_string()]);
    }
    assert!(two.metric("ssefleet_node_replays_total").await >= 1);
}

#[tokio::test]
async fn what_is_gone_is_told_by_a_gap_and_the_rest_follows() {
    let node = memory().await;
    let ids = publish(&node, 1..=1).await;
    publish(&node, 2..=300).await; // 201 to 300 are kept
    let mut reader = node.resume("/events", &ids[0]).await;
    let gap = reader.next().await;
    assert_eq!((gap.event.as_str(), gap.data.as_str()), ("gap", r#"{"missed":199,"reason":"expired"}"#));
    assert_eq!(reader.data().await, ["201", "202"]);
    assert_eq!(node.metric("ssefleet_node_gaps_total").await, 1);
    // With the id of the gap it would not be told again.
    assert_eq!(node.resume("/events", &gap.id).await.data().await, ["201"]);
}

#[tokio::test]
async fn an_id_of_an_earlier_log_is_told_by_a_reset_and_gets_all_of_the_new_one() {
    let old = publish(&memory().await, 1..=1).await.remove(0);
    tokio::time::sleep(std::time::Duration::from_millis(2)).await; // a memory log's epoch is the millisecond it began
    let node = memory().await;
    publish(&node, 2..=3).await;
    let mut reader = node.resume("/events", &old).await;
    assert_eq!(reader.next().await.event, "reset");
    assert_eq!(reader.data().await, ["2", "3"]);
}

#[tokio::test]
async fn an_id_that_was_never_given_is_told_by_a_reset_and_goes_on_live() {
    let node = memory().await;
    let id = publish(&node, 1..=2).await.remove(1);
    let (epoch, _) = id.split_once('-').unwrap();
    for unknown in ["garbage", "1' or 1", &format!("{epoch}-999")] {
        let mut reader = node.resume("/events", unknown).await;
        assert_eq!(reader.next().await.event, "reset", "{unknown}");
        publish(&node, 3..=3).await;
        assert_eq!(reader.data().await, ["3"]);
    }
}

#[tokio::test]
async fn what_has_expired_is_not_replayed_and_is_no_gap() {
    let node = memory().await;
    let first = publish(&node, 1..=1).await.remove(0);
    let mut live = node.subscribe("/events").await;
    node.publish(json!([{"data": "short", "ttl": "10ms"}, {"data": "long", "ttl": "1h"}, {"data": "ever"}])).await;
    assert_eq!(live.data().await, ["short", "long", "ever"]);
    // Until its time is over it is replayed.
    eventually("the short-lived one is over", async || node.resume("/events", &first).await.data().await != ["short"])
        .await;
    let mut reader = node.resume("/events", &first).await;
    assert_eq!(reader.data().await, ["long", "ever"]);
    assert_eq!(node.metric("ssefleet_node_gaps_total").await, 0);
}
