//! Redis goes away, comes back, comes back empty: subscribers stay, publishers are told, nothing that was
//! acknowledged is lost silently.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use sse_node::broker::{
    Retention,
    redis::{Address, Redis},
};
use ssefleet_tests::redis::Server;
use tokio::time::timeout;

use crate::support::{Node, eventually, stream};

fn broker(url: String) -> Arc<Redis> {
    Arc::new(Redis::new(Address::new(url), "log".into(), Retention::of_events(100)))
}

async fn node(server: &Server) -> Node {
    let spec =
        json!({"connections": {"heartbeatInterval": "1s"}, "broker": {"redis": {"external": {"url": server.url()}}}});
    Node::start(stream(&spec), broker(server.url())).await
}

#[tokio::test]
async fn while_redis_is_away_subscribers_stay_and_publishers_get_503() {
    let mut server = Server::start().await;
    let node = node(&server).await;
    let mut reader = node.subscribe("/events").await;
    node.publish(json!({"data": 1})).await;
    assert_eq!(reader.data().await, ["1"]);

    assert_eq!(broker_of(&node).await["state"], "Ready");
    server.kill().await;
    let (status, told) = node.post("/publish", None, "{\"data\":2}").await;
    assert!(status == 503 && told.contains("try again until you get their ids"), "{status} {told}");
    // Heartbeats go on, and the node stays ready: a proxy's 503 would end browsers for good.
    let beats = reader.raw.matches("\n:\n\n").count();
    while reader.raw.matches("\n:\n\n").count() < beats + 2 {
        assert!(reader.more().await);
    }
    assert_eq!(node.get(node.admin, "/readyz").await.0, 200);
    assert_eq!(node.metric("ssefleet_node_broker_up").await, 0);
    let told = broker_of(&node).await;
    assert!(told["state"] == "Failing" && told["part"] == "Tcp" && told["message"].is_string(), "{told}");

    server.restart().await;
    node.publish(json!({"data": 3})).await;
    assert_eq!(reader.data().await, ["3"]);
    assert_eq!(node.metric("ssefleet_node_broker_up").await, 1);
    let told = broker_of(&node).await;
    assert!(told["state"] == "Ready" && told["part"].is_null() && told["since"].is_string(), "{told}");
}

#[tokio::test]
async fn a_redis_that_is_back_is_told_though_nothing_is_published() {
    let mut server = Server::start().await;
    let node = node(&server).await;
    node.publish(json!({"data": 1})).await;
    let until = async |state: &str| {
        let told = async {
            while broker_of(&node).await["state"] != state {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(20), told).await.unwrap_or_else(|_| panic!("never {state}"));
    };
    until("Ready").await;
    server.kill().await;
    until("Failing").await;
    server.restart().await;
    until("Ready").await;
    assert_eq!(node.metric("ssefleet_node_broker_up").await, 1);
}

/// What `/stats` says of the broker.
async fn broker_of(node: &Node) -> serde_json::Value {
    let (_, stats) = node.get(node.admin, "/stats").await;
    serde_json::from_str::<serde_json::Value>(&stats).unwrap()["broker"].take()
}

#[tokio::test]
async fn a_password_changes_before_or_after_it_does_in_redis_and_no_subscriber_is_disconnected() {
    let server = Server::start().await;
    server.command(&["CONFIG", "SET", "requirepass", "one"]).await;
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "one").unwrap();
    let spec =
        json!({"connections": {"heartbeatInterval": "1s"}, "broker": {"redis": {"external": {"url": server.url()}}}});
    let address = Address { password: Some(password.clone()), ..Address::new(server.url()) };
    let broker = Redis::new(address, "log".into(), Retention::of_events(100));
    let node = Node::start(stream(&spec), Arc::new(broker)).await;
    let mut reader = node.subscribe("/events").await;
    let cut = async |now: &str| server.command_with_password(now, &["CLIENT", "KILL", "TYPE", "normal"]).await;
    let publish = async |n: u64| {
        eventually("it is published", async || crate::support::post(node.publish, n).await.0 == 200).await;
    };

    // The file is first: what was taken before is still.
    std::fs::write(&password, "two").unwrap();
    cut("one").await;
    publish(1).await;
    // Then Redis: what the file holds is taken from now on.
    server.command_with_password("one", &["CONFIG", "SET", "requirepass", "two"]).await;
    cut("two").await;
    publish(2).await;
    // Redis is first: nobody comes in, and that is told, until the file has it too.
    server.command_with_password("two", &["CONFIG", "SET", "requirepass", "three"]).await;
    cut("three").await;
    eventually("it is told", async || broker_of(&node).await["part"] == "Auth").await;
    std::fs::write(&password, "three").unwrap();
    publish(3).await;
    assert_eq!(reader.data().await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_is_told_by_a_reset() {
    let server = Server::start().await;
    let node = node(&server).await;
    let mut reader = node.subscribe("/events").await;
    let before = node.publish(json!({"data": 1})).await.remove(0);
    assert_eq!(reader.data().await, ["1"]);
    server.command(&["FLUSHALL"]).await;
    let after = node.publish(json!({"data": 2})).await.remove(0);
    assert_ne!(before.split_once('-').unwrap().0, after.split_once('-').unwrap().0);
    assert_eq!(reader.next().await.event, "reset");
    let event = reader.next().await;
    assert_eq!((event.id, event.data.as_str()), (after, "2"));
}

#[tokio::test]
async fn without_a_broker_a_node_waits_and_says_so() {
    let mut server = Server::start().await;
    server.kill().await;
    let spec = json!({"broker": {"redis": {"external": {"url": server.url()}}}});
    let node = Node::start_unready(stream(&spec), broker(server.url())).await;
    let (status, told) = node.get(node.admin, "/readyz").await;
    assert!(status == 503 && told.contains("the broker has not answered yet"), "{told}");
    assert_eq!(node.get(node.admin, "/healthz").await.0, 200);
    let (status, told) = node.get(node.public, "/events").await;
    assert!(status == 503 && told.contains("the log is not open yet"), "{told}");
    server.restart().await;
    while node.get(node.admin, "/readyz").await.0 != 200 {
        tokio::task::yield_now().await;
    }
    node.subscribe("/events").await;
}

#[tokio::test]
async fn what_is_published_on_the_channel_reaches_every_connection_and_is_not_kept() {
    let server = Server::start().await;
    let nodes = [node(&server).await, node(&server).await];
    let id = nodes[0].publish(json!({"data": "before"})).await.remove(0);
    // One who has seen more than the node has would still be waiting for the log.
    let position = format!("\"position\":\"{id}\"");
    eventually("the other node has it", async || nodes[1].get(nodes[1].admin, "/stats").await.1.contains(&position))
        .await;
    let mut readers = [nodes[0].resume("/events", &id).await, nodes[1].resume("/events?topic=a", &id).await];
    // It answers how many listen.
    while server.command(&["PUBLISH", "sse-broadcast", "hello\nid: forged"]).await != "2" {
        tokio::task::yield_now().await;
    }
    for reader in &mut readers {
        let event = loop {
            let event = reader.next().await;
            if event.data == "hello\nid: forged" {
                break event;
            }
        };
        assert_eq!((event.event.as_str(), event.id.as_str()), ("message", id.as_str()), "the id stays as it was");
    }
    nodes[0].publish(json!({"data": "after"})).await;
    assert_eq!(nodes[1].resume("/events", &id).await.data().await, ["after"]);
}
