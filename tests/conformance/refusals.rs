//! Every way in which a fleet says no: with `refuseWith: Auto` a browser survives it and gets its events once there is
//! room, with `Status` it is shown that it does not. The package `eventsource` asks as a browser does and fares alike.

use std::time::Duration;

use serde_json::json;
use ssefleet_tests::eventsource::{CLOSED, CONNECTING, Client, Library, Note};
use tokio::net::TcpStream;

use crate::{
    relay::{Ask, Relay},
    servers::{
        certificate::Certificate,
        node::{Extras, Node},
    },
    streams::with_both_libraries,
};

with_both_libraries! {
    full_is_survived_under_auto
    full_is_not_survived_under_status
    too_many_connects_are_survived_under_auto
    too_many_connects_are_not_survived_under_status
    a_drain_is_survived_as_the_stream_ends_in_order
}

/// Answers to GET on the stream that a client was given.
fn statuses(asks: &[Ask]) -> Vec<&str> {
    asks.iter().map(|ask| ask.answer.split(' ').nth(1).unwrap_or_default()).collect()
}

/// A node with room for one.
async fn small(refuse_with: &str) -> Node {
    Node::start(json!({"connections": {"maxPerPod": 1, "retry": "300ms", "refuseWith": refuse_with}})).await
}

/// Connected, then cut, and another one is in its place before it is back.
async fn crowded_out(library: Library, node: &Node) -> (Client, Relay, TcpStream) {
    let relay = Relay::to(node.public).await;
    let mut client = Client::watch(library, json!({"url": relay.url()}));
    client.opens().await;
    node.publish(&json!({"data": "before"})).await;
    assert_eq!(client.message().await, "before");
    relay.cut();
    let other = takes_the_place(node).await;
    (client, relay, other)
}

async fn takes_the_place(node: &Node) -> TcpStream {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    loop {
        let mut socket = TcpStream::connect(node.public).await.unwrap();
        socket.write_all(b"GET /events HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
        let mut status = [0; 12];
        socket.read_exact(&mut status).await.unwrap();
        // The node has yet to see that the other is gone.
        if status.ends_with(b"200") {
            return socket;
        }
    }
}

async fn full_is_survived_under_auto(library: Library) {
    let node = small("Auto").await;
    let (mut client, relay, other) = crowded_out(library, &node).await;
    assert_eq!(client.error().await, CONNECTING);
    relay.until("two refusals", |asks| asks.iter().filter(|ask| ask.answer.contains("full")).count() >= 2).await;
    assert!(node.refused("full").await >= 2);
    node.publish(&json!({"data": "while there was no room"})).await;
    drop(other);
    assert_eq!(client.message().await, "while there was no room");
    node.publish(&json!({"data": "after"})).await;
    assert_eq!(client.message().await, "after");
    assert!(statuses(&relay.asks()).iter().all(|status| *status == "200"), "{:#?}", relay.asks());
}

/// By plain HTTP a browser tells `Sec-Fetch-Mode` to its own machine only, and this one takes the node for another.
#[tokio::test]
async fn chromium_is_known_by_plain_http_too() {
    let node = small("Auto").await;
    let relay = Relay::to(node.public).await;
    let address = relay.url().replace("http://", "").replace("/events", "");
    let mut client = Client::chromium(&[format!("--host-resolver-rules=MAP stream.test {address}")]);
    client.command(&json!({"url": "http://stream.test/events", "page": "http://stream.test/health"}));
    client.opens().await;
    relay.cut();
    let other = takes_the_place(&node).await;
    assert_eq!(client.error().await, CONNECTING);
    relay.until("two refusals", |asks| asks.iter().filter(|ask| ask.answer.contains("full")).count() >= 2).await;
    assert!(relay.asks().iter().all(|ask| ask.field("sec-fetch-mode").is_none()), "{:#?}", relay.asks());
    drop(other);
    client.opens().await;
    node.publish(&json!({"data": "after"})).await;
    assert_eq!(client.message().await, "after");
}

async fn full_is_not_survived_under_status(library: Library) {
    let node = small("Status").await;
    let (mut client, relay, other) = crowded_out(library, &node).await;
    assert_eq!(client.error().await, CONNECTING);
    assert_eq!(client.error().await, CLOSED);
    drop(other);
    client.stays_silent(Duration::from_secs(2)).await;
    assert_eq!(statuses(&relay.asks()), ["200", "503"]);
}

/// A node that lets one connect twice in some seconds.
async fn strict(refuse_with: &str) -> Node {
    let limit = json!({"max": 2, "window": "8s", "per": "ClientIp", "refuseWith": refuse_with});
    Node::start(json!({"connections": {"retry": "300ms"}, "rateLimits": {"connect": limit}})).await
}

/// Connected twice, and cut again.
async fn hurried(library: Library, node: &Node) -> (Client, Relay) {
    let relay = Relay::to(node.public).await;
    let mut client = Client::watch(library, json!({"url": relay.url()}));
    for data in ["first", "second"] {
        client.opens().await;
        // The package knows only ids that came with data, and could not come back to where it was.
        node.publish(&json!({"data": data})).await;
        assert_eq!(client.message().await, data);
        relay.cut();
        assert_eq!(client.error().await, CONNECTING);
    }
    (client, relay)
}

async fn too_many_connects_are_survived_under_auto(library: Library) {
    let node = strict("Auto").await;
    let (mut client, relay) = hurried(library, &node).await;
    let asks = relay.answered(3).await;
    assert!(asks[2].answer.contains("too many connections"), "{asks:#?}");
    node.publish(&json!({"data": "while it had to wait"})).await;
    assert_eq!(client.message().await, "while it had to wait");
    assert!(statuses(&relay.asks()).iter().all(|status| *status == "200"), "{:#?}", relay.asks());
}

async fn too_many_connects_are_not_survived_under_status(library: Library) {
    let node = strict("Status").await;
    let (mut client, relay) = hurried(library, &node).await;
    assert_eq!(client.error().await, CLOSED);
    client.stays_silent(Duration::from_secs(4)).await;
    assert_eq!(statuses(&relay.asks()), ["200", "200", "429"]);
}

/// What a drain is for nearly all: the stream ends, with a `retry:`, and another node is there by then.
async fn a_drain_is_survived_as_the_stream_ends_in_order(library: Library) {
    let spec =
        json!({"connections": {"retry": "300ms", "refuseWith": "Status"}, "fleet": {"drain": {"timeout": "10s"}}});
    let (first, second) = tokio::join!(Node::start(spec.clone()), Node::start(spec));
    let relay = Relay::to(first.public).await;
    let mut client = Client::watch(library, json!({"url": relay.url()}));
    client.opens().await;
    first.drain().await;
    relay.turn_to(second.public);
    assert_eq!(client.error().await, CONNECTING);
    client.opens().await;
    second.publish(&json!({"data": "from the other"})).await;
    assert_eq!(client.message().await, "from the other");
}

/// A stream that is asked for when the node lets nobody in any more. By HTTP/1.1 nobody can ask: the listener is
/// closed. On an HTTP/2 connection, one who has not heard the GOAWAY yet can (RFC 9113, 6.8).
async fn asked_for_while_draining(refuse_with: &str) -> (Client, Node, Relay) {
    let certificate = Certificate::make();
    let spec = json!({
        "connections": {"retry": "300ms", "refuseWith": refuse_with},
        "fleet": {"drain": {"timeout": "10s", "reconnectsPerSecond": 1}},
    });
    let extras = || Extras { arguments: certificate.arguments(), ..Extras::default() };
    let (first, second) = tokio::join!(Node::start_with(spec.clone(), extras()), Node::start_with(spec, extras()));
    let relay = Relay::to(first.public).await;
    let url = relay.url().replace("http:", "https:");
    let mut client = Client::watch(Library::Chromium, json!({"url": url}));
    client.opens().await;
    relay.hold_answers(true);
    first.drain().await;
    first.is_closed().await;
    relay.turn_to(second.public);
    client.command(&json!({"url": url, "source": 1}));
    first.has_refused("draining").await;
    relay.hold_answers(false);
    (client, second, relay)
}

#[tokio::test]
async fn draining_is_survived_under_auto_in_chromium() {
    let (mut client, second, _relay) = asked_for_while_draining("Auto").await;
    let mut opened = [false; 2];
    while opened != [true; 2] {
        match client.next().await {
            // The refusal is a stream of its own, which opens and ends.
            Note::Open { source } => opened[source as usize] = true,
            Note::Error { ready_state, source } => {
                assert_eq!(ready_state, CONNECTING, "source {source}");
                opened[source as usize] = false;
            }
            note => panic!("{note:?}"),
        }
    }
    second.publish(&json!({"data": "from the other"})).await;
    let mut got = [false; 2];
    while got != [true; 2] {
        if let Note::Event { source, data, .. } = client.next().await {
            got[source as usize] |= data == "from the other";
        }
    }
}

#[tokio::test]
async fn draining_is_not_survived_under_status_in_chromium() {
    let (mut client, _second, _relay) = asked_for_while_draining("Status").await;
    loop {
        if let Note::Error { source: 1, ready_state } = client.next().await {
            assert_eq!(ready_state, CLOSED);
            return;
        }
    }
}
