//! One who comes back because the fleet ended its stream is let in uncounted; nobody else is.

use futures_util::future::join_all;
use serde_json::json;
use sse_node::Stop;
use ssefleet_tests::redis::Server;

use crate::{
    raw::{Client, alone, among, ask},
    support::{Node, eventually, send},
};

const LIMITS: &str = r#"{"connect": {"max": 50}, "concurrent": {"max": 50}}"#;

async fn fill(node: &Node, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(ask(node.public, "").await);
    }
    assert!(clients.iter().all(Client::is_in));
    clients
}

#[tokio::test]
async fn clients_of_a_node_that_drains_come_back_to_another_and_a_stranger_does_not_get_in() {
    let server = Server::start().await;
    let limits = serde_json::from_str(LIMITS).unwrap();
    let more = json!({"connections": {"retry": "1s"}});
    let (mut drains, stays) = (among(&server, &limits, more).await, among(&server, &limits, json!({})).await);
    let mut clients = fill(&drains, 50).await;
    assert_eq!(ask(stays.public, "").await.status(), 429, "the limit is used up");

    drains.stop(Stop::Interrupted);
    // Each comes back when it was told to.
    let back = join_all(clients.iter_mut().map(async |client| {
        client.ended().await;
        tokio::time::sleep(client.retry()).await;
        ask(stays.public, "").await
    }))
    .await;
    let lost: Vec<_> = back.iter().filter(|client| !client.is_in()).map(|client| &client.head).collect();
    assert!(lost.is_empty(), "{} were lost: {}", lost.len(), lost[0]);
    let stranger = ask(stays.public, "").await;
    assert_eq!(stranger.status(), 429);
    drop(back);
    eventually("places are free", async || stays.metric("ssefleet_node_connections").await == 0).await;
    // With places free, too: the passes are used up.
    eventually("it is the rate that refuses", async || {
        ask(stays.public, "").await.body().await.contains("too many connections")
    })
    .await;
    assert_eq!(stays.metric("ssefleet_node_limit_passes_used_total").await, 50);
    drains.stopped().await;
}

#[tokio::test]
async fn clients_that_a_node_sheds_come_back_uncounted() {
    let node = alone(&json!({"connect": {"max": 2}}), json!({"connections": {"retry": "100ms"}})).await;
    let mut clients = fill(&node, 2).await;
    assert_eq!(ask(node.public, "").await.status(), 429);
    let request = hyper::Request::post("/shed").header("host", "node").body(r#"{"connections": 2}"#.to_owned().into());
    assert_eq!(send(node.admin, request.unwrap()).await.status(), 202);
    for client in &mut clients {
        client.ended().await;
    }
    fill(&node, 2).await;
    assert_eq!(ask(node.public, "").await.status(), 429);
}

/// At the drain's deadline what is left is cut off, all at once, as the process ends.
#[tokio::test]
async fn clients_that_are_cut_off_at_the_deadline_come_back_too() {
    let server = Server::start().await;
    let limits = serde_json::from_str(LIMITS).unwrap();
    let slow = json!({"fleet": {"drain": {"timeout": "5s", "reconnectsPerSecond": 1}}});
    let (mut drains, stays) = (among(&server, &limits, slow).await, among(&server, &limits, json!({})).await);
    let mut clients = fill(&drains, 50).await;
    drains.stop(Stop::Interrupted);
    drains.stopped().await;
    for client in &mut clients {
        client.ended().await;
    }
    fill(&stays, 50).await;
    assert_eq!(ask(stays.public, "").await.status(), 429);
}

/// One who leaves by itself and comes back is counted, and so is one whom the fleet let go for its slowness.
#[tokio::test]
async fn one_who_leaves_by_itself_gets_no_pass() {
    let server = Server::start().await;
    let node = among(&server, &json!({"connect": {"max": 3}}), json!({})).await;
    for left in [2, 1, 0] {
        let client = ask(node.public, "").await;
        assert_eq!(client.number("ratelimit-remaining"), left);
        drop(client);
        eventually("it has left", async || node.metric("ssefleet_node_connections").await == 0).await;
    }
    assert_eq!(ask(node.public, "").await.status(), 429);
    assert_eq!(node.metric("ssefleet_node_limit_passes_given_total").await, 0);
}

#[tokio::test]
async fn one_whose_stream_was_old_enough_comes_back_uncounted() {
    let node = alone(&json!({"connect": {"max": 1}}), json!({"connections": {"maxAge": "10s"}})).await;
    let mut client = ask(node.public, "").await;
    assert_eq!(ask(node.public, "").await.status(), 429);
    client.ended().await;
    let back = ask(node.public, "").await;
    assert!(back.is_in(), "{}", back.head);
    assert_eq!(ask(node.public, "").await.status(), 429);
    assert_eq!(node.metric("ssefleet_node_limit_passes_used_total").await, 1);
}
