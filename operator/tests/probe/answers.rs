//! Answers that are none of a stream's, and nodes that do not probe.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::json;
use sse_node::Stop;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::world::{Nginx, Node, plan, probe, probe_with, told, way};

/// A server that answers every request with these bytes and hangs up.
async fn server(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = socket.read(&mut head).await;
                let _ = socket.write_all(answer).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn what_is_no_stream_is_told_as_what_it_is() {
    for (answer, wanted, says) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "WrongAnswer", "does not speak HTTP"),
        (b"", "NoAnswer", "without an answer"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "WrongAnswer", "the answer is 404"),
        (b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n", "WrongAnswer", "asks for a login"),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi", "WrongAnswer", "\"text/html\""),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nretry: 3000\n\ndata: x\n\n",
            "WrongAnswer",
            "not one of this stream's nodes",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nretry: 3000\n: no node can be reached for now; come back\n\n",
            "NoNode",
            "stands in for the nodes",
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", "CutShort", "was cut after 0.0 s"),
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\xff\x00\xfe\n", "WrongAnswer", "not one of"),
    ] {
        let finding = probe(way(server(answer).await)).await;
        let (outcome, message) = told(&finding);
        assert_eq!(outcome, wanted, "{message}");
        assert!(message.contains(says), "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
    }
}

#[tokio::test]
async fn a_stream_of_endless_garbage_has_an_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await;
        while socket.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    assert_eq!(told(&probe(way(address)).await).0, "WrongAnswer");
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_learned_of_the_stream() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let finding = probe(way(closed)).await;
    assert_eq!(finding.outcome.holds(), None);
    let (outcome, message) = told(&finding);
    assert_eq!(outcome, "NotReached");
    assert!(message.contains("set exposure.probe.address"), "{message}");
}

#[tokio::test]
async fn a_pass_that_the_node_does_not_know_says_nothing_of_the_way() {
    let node = Node::start(json!({})).await;
    let finding = probe_with(&plan(vec![way(node.public)]), "another token", BTreeMap::new()).await;
    let (outcome, message) = told(&finding);
    assert_eq!((outcome, finding.outcome.holds()), ("NotProbed", None));
    assert!(message.contains("did not take the operator's pass") && !message.contains("another token"), "{message}");
}

#[tokio::test]
async fn a_node_that_stops_says_so_and_is_not_held_up() {
    let mut node = Node::start(json!({"fleet": {"replicas": 1, "drain": {"timeout": "10s"}}})).await;
    let nginx = Nginx::before(node.public, "proxy_http_version 1.1; proxy_buffering off;").await;
    let probing = tokio::spawn(probe(way(nginx.address)));
    // The node counts a probe as it begins; the second is the one that is silent for a while.
    while probes(&node).await < 2 {
        tokio::task::yield_now().await;
    }
    node.stop.take().unwrap().send(Stop::Interrupted).unwrap();
    let finding = probing.await.unwrap();
    assert_eq!(told(&finding).0, "NotProbed", "{finding:?}");
    assert!(finding.message.contains("about to stop"), "{finding:?}");
}

#[tokio::test]
async fn every_way_has_to_be_good() {
    let node = Node::start(json!({})).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let finding =
        probe_with(&plan(vec![way(node.public), way(closed)]), "a-token-of-the-stream", BTreeMap::new()).await;
    assert_eq!(told(&finding).0, "NotReached");
    assert!(finding.message.contains(&format!("by {closed}")), "{finding:?}");
}

async fn probes(node: &Node) -> u64 {
    let mut socket = tokio::net::TcpStream::connect(node.admin).await.unwrap();
    socket.write_all(b"GET /metrics HTTP/1.0\r\nhost: node\r\n\r\n").await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("ssefleet_node_probes_total{outcome=\"answered\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}
