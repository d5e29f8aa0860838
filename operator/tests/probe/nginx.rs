//! What nginx does to streams, by how it is set up.

use std::time::Duration;

use serde_json::json;

use crate::world::{Nginx, Node, probe, told, way};

/// Row S10 of what the node promises.
const GOOD: &str = "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; proxy_cache off;
    proxy_read_timeout 24h; proxy_send_timeout 24h; proxy_set_header Host $host;";

/// As people find it in the web, and then wonder: it takes no notice of what the answer says itself.
const BUFFERS: &str = "proxy_ignore_headers X-Accel-Buffering;";

async fn by(location: &str) -> (sse_operator::probe::Finding, u16) {
    let node = Node::start(json!({})).await;
    let nginx = Nginx::before(node.public, location).await;
    (probe(way(nginx.address)).await, nginx.address.port())
}

#[tokio::test]
async fn a_good_one_is_verified() {
    let (finding, port) = by(GOOD).await;
    let message = format!(
        "Through http://events.test:{port} by 127.0.0.1:{port}: comments sent 100 ms apart arrive apart, and silence of 20 s between heartbeats every 1 s is survived"
    );
    assert_eq!(told(&finding), ("Streaming", message.as_str()));
    let measured = finding.measured;
    assert!(measured.first_byte.unwrap() < Duration::from_secs(1), "{measured:?}");
    let spacing = measured.spacing.unwrap();
    assert!((50..200).contains(&spacing.as_millis()), "{measured:?}");
    assert!(measured.held.unwrap() >= Duration::from_secs(20), "{measured:?}");
}

#[tokio::test]
async fn one_that_buffers_is_found_in_a_moment() {
    let begun = std::time::Instant::now();
    let (finding, _) = by(BUFFERS).await;
    let (outcome, message) = told(&finding);
    assert_eq!(outcome, "Buffered", "{message}");
    assert!(message.contains("10 comments sent 100 ms apart arrived together after "), "{message}");
    assert!(message.contains("proxy-buffering"), "it says what to do: {message}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn one_that_allows_two_seconds_of_silence_cuts_short() {
    // The heartbeats of this stream come later than that.
    let node = Node::start(json!({"connections": {"heartbeatInterval": "15s"}})).await;
    let nginx = Nginx::before(node.public, &GOOD.replace("proxy_read_timeout 24h", "proxy_read_timeout 2s")).await;
    let finding = probe(way(nginx.address)).await;
    let (outcome, message) = told(&finding);
    assert_eq!(outcome, "CutShort", "{message}");
    assert!(message.contains("a stream that should last 20.2 s was cut after 2."), "{message}");
    // nginx leaves a timer as it is that would move by less than 0.3 s.
    let silences = ["1.8", "1.9", "2.0", "2.1"].map(|silence| format!(" s, {silence} s after its last byte"));
    assert!(silences.iter().any(|silence| message.contains(silence)), "{message}");
}

#[tokio::test]
async fn one_that_compresses_is_found() {
    let (finding, _) = by(&format!("{GOOD} gzip on; gzip_types text/event-stream; gzip_proxied any;")).await;
    let (outcome, message) = told(&finding);
    assert_eq!(outcome, "Compressed", "{message}");
    assert!(message.contains("Content-Encoding: gzip"), "{message}");
}

#[tokio::test]
async fn what_the_nodes_compress_themselves_is_no_fault() {
    let node = Node::start(json!({"compression": {"mode": "Transport"}})).await;
    let finding = probe(way(node.public)).await;
    assert_eq!(told(&finding).0, "Streaming", "{finding:?}");
}
