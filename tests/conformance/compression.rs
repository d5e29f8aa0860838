//! Smaller events: `Transport`, which clients unpack without a word, and `Envelope`, which a page unpacks by the example
//! that the project gives.

use serde_json::json;
use ssefleet_tests::eventsource::{CONNECTING, Client, Library};

use crate::{
    processes::repository,
    relay::Relay,
    servers::{nginx::Nginx, node::Node},
    streams::with_both_libraries,
};

with_both_libraries! {
    transport_gzip_is_read_event_by_event_and_resumed
    envelopes_are_unpacked_by_the_example_in_order
}

/// Longer than the threshold, and compressible.
fn large(mark: &str) -> String {
    format!("{mark} {}", "all work and no play ".repeat(200))
}

async fn transport_gzip_is_read_event_by_event_and_resumed(library: Library) {
    let compression = json!({"mode": "Transport", "thresholdBytes": 100});
    let node = Node::start(json!({"compression": compression, "connections": {"retry": "200ms"}})).await;
    let nginx = Nginx::before(node.public).await;
    let relay = Relay::to(nginx.address).await;
    let page = format!("http://{}/nginx.conf", relay.address);
    let mut client = Client::watch(library, json!({"url": relay.url(), "page": page}));
    client.opens().await;
    // Each is here before the next is published: nothing is held back.
    for data in [large("a"), "small".into(), large("b")] {
        node.publish(&json!({"data": data})).await;
        assert_eq!(client.message().await, data);
    }
    relay.cut();
    assert_eq!(client.error().await, CONNECTING);
    for data in [large("c"), large("d")] {
        node.publish(&json!({"data": data})).await;
    }
    assert_eq!([client.message().await, client.message().await], [large("c"), large("d")]);
    for ask in relay.answered(2).await {
        assert_eq!(ask.answered("content-encoding"), Some("gzip"), "{ask:?}");
    }
}

async fn envelopes_are_unpacked_by_the_example_in_order(library: Library) {
    let node = Node::start(json!({"compression": {"mode": "Envelope", "thresholdBytes": 100}})).await;
    let nginx = Nginx::before(node.public).await;
    let envelope = match library {
        Library::Node => format!("file://{}", repository().join("examples/envelope.mjs").display()),
        Library::Chromium => "/envelope.mjs".into(),
    };
    let page = format!("http://{}/nginx.conf", nginx.address);
    let mut client = Client::watch(library, json!({"url": nginx.url(), "page": page, "envelope": envelope}));
    client.opens().await;
    // A small event needs no unpacking and must not overtake the large one before it.
    let published = [large("first"), "second".into(), large("third"), "{\"price\":1}".into()];
    for data in &published {
        node.publish(&json!({"data": data})).await;
    }
    for data in published {
        assert_eq!(client.message().await, data);
    }
}
