//! What holds while Redis does not answer, and when it does again.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use ssefleet_tests::redis::Server;

use crate::{
    raw::{BROWSER, among, ask},
    support::{Node, eventually},
};

async fn two_nodes(server: &Server, limits: Value) -> (Node, Node) {
    (among(server, &limits, json!({})).await, among(server, &limits, json!({})).await)
}

#[tokio::test]
async fn each_node_counts_by_itself_while_redis_is_away() {
    let mut server = Server::start().await;
    let (a, b) = two_nodes(&server, json!({"connect": {"max": 2}, "concurrent": {"max": 100}})).await;
    let held = ask(a.public, "").await;
    assert_eq!(held.number("ratelimit-remaining"), 1);
    server.kill().await;
    for node in [&a, &b] {
        for left in [1, 0] {
            let client = ask(node.public, "").await;
            assert!(client.is_in(), "{}", client.head);
            assert_eq!(client.number("ratelimit-remaining"), left);
        }
        assert_eq!(ask(node.public, "").await.status(), 429);
        assert_eq!(node.metric("ssefleet_node_limit_decisions_total{by=\"node\"}").await, 3);
    }
    // Back, it knows what it knew: what was let in meanwhile is not added to it.
    server.restart().await;
    let by_the_fleet = "ssefleet_node_limit_decisions_total{by=\"fleet\"}";
    eventually("the fleet counts again", async || {
        ask(a.public, "").await;
        a.metric(by_the_fleet).await > 1
    })
    .await;
    assert_eq!(ask(a.public, "").await.status(), 429);
}

#[tokio::test]
async fn streams_are_counted_by_node_while_redis_is_away_and_known_to_it_afterwards() {
    let mut server = Server::start().await;
    let (a, b) = two_nodes(&server, json!({"concurrent": {"max": 3}})).await;
    let mut held = vec![ask(a.public, "").await];
    server.kill().await;
    for _ in 0..2 {
        held.push(ask(a.public, "").await);
    }
    assert!(held.iter().all(crate::raw::Client::is_in));
    // The one from before counts, too.
    assert_eq!(ask(a.public, "").await.status(), 429);
    server.restart().await;
    eventually("the other node knows of all three", async || ask(b.public, "").await.status() == 429).await;
}

#[tokio::test]
async fn nobody_is_let_in_who_can_not_be_counted_if_so_declared() {
    let mut server = Server::start().await;
    let limits = json!({"connect": {"max": 5, "refuseWith": "Status"}, "whenRedisIsAway": "Refuse"});
    let (node, _other) = two_nodes(&server, limits).await;
    let _held = ask(node.public, "").await;
    server.kill().await;
    let refused = ask(node.public, "").await;
    assert_eq!(refused.status(), 503);
    assert!((1..=5).contains(&refused.number("retry-after")));
    assert!(refused.body().await.contains("nobody can count for now"));
    // As a full node refuses, by connections.refuseWith: it is not the client's fault.
    let refused = ask(node.public, BROWSER).await;
    assert_eq!((refused.status(), refused.field("x-sse-connection")), (200, None));
    assert_eq!(node.metric("ssefleet_node_connections_refused_total{reason=\"limiter_away\"}").await, 2);
    server.restart().await;
    eventually("it counts again", async || ask(node.public, "").await.is_in()).await;
}

/// A Redis that accepts and says nothing.
#[tokio::test]
async fn a_redis_that_stalls_delays_those_who_were_asking_and_nobody_after_them() {
    let server = Server::start().await;
    let (node, _other) = two_nodes(&server, json!({"connect": {"max": 1000}})).await;
    assert!(ask(node.public, "").await.is_in());
    assert_eq!(server.command(&["CLIENT", "PAUSE", "10000", "ALL"]).await, "OK");
    let paused = Instant::now();
    // Those who come at the same time wait at the same time.
    join_all((0..20).map(async |_| assert!(ask(node.public, "").await.is_in()))).await;
    let waited = paused.elapsed();
    for _ in 0..50 {
        assert!(ask(node.public, "").await.is_in());
    }
    let for_all = paused.elapsed();
    assert!(for_all < Duration::from_secs(10), "{for_all:?}, and so Redis was no longer silent");
    assert!(for_all < 3 * waited, "each waits: {waited:?} for those who came together, {for_all:?} for all");
    assert_eq!(node.metric("ssefleet_node_limit_decisions_total{by=\"node\"}").await, 70);
    let by_the_fleet = "ssefleet_node_limit_decisions_total{by=\"fleet\"}";
    eventually("the fleet counts again", async || {
        ask(node.public, "").await;
        node.metric(by_the_fleet).await > 1
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_stalls_lets_nobody_in_if_so_declared() {
    let server = Server::start().await;
    let limits = json!({"connect": {"max": 1000, "refuseWith": "Retry"}, "whenRedisIsAway": "Refuse"});
    let (node, _other) = two_nodes(&server, limits).await;
    assert!(ask(node.public, "").await.is_in());
    assert_eq!(server.command(&["CLIENT", "PAUSE", "10000", "ALL"]).await, "OK");
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(ask(node.public, "").await.status(), 503);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    eventually("it counts again", async || ask(node.public, "").await.is_in()).await;
}

/// A connection that was idle and was ended by the other side is made anew within the same question.
#[tokio::test]
async fn a_connection_that_has_ended_is_nobody_s_loss() {
    let server = Server::start().await;
    let (node, _other) = two_nodes(&server, json!({"connect": {"max": 5}, "whenRedisIsAway": "Refuse"})).await;
    for left in (0..5).rev() {
        let client = ask(node.public, "").await;
        assert!(client.is_in(), "{}", client.head);
        assert_eq!(client.number("ratelimit-remaining"), left);
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    }
    assert_eq!(ask(node.public, "").await.status(), 429);
}
