//! `examples/debugger.html`, which shows what a page gets of a stream.

use serde_json::{Value, json};
use ssefleet_tests::eventsource::{Client, Library};

use crate::{
    relay::Relay,
    servers::{nginx::Nginx, node::Node},
};

#[tokio::test]
async fn the_debugger_page_shows_what_its_stream_meets() {
    let node = Node::start(json!({"connections": {"retry": "200ms"}})).await;
    let nginx = Nginx::before(node.public).await;
    let relay = Relay::to(nginx.address).await;
    let page = format!("http://{}/debugger.html?event=trade", relay.address);
    let mut client = Client::start(Library::Chromium);
    client.command(&json!({"page": page, "show": "#state"}));

    let connected = |shown: &Value| shown["connected"] == true;
    let shown = client.shows("connected", connected).await;
    let begin = json!({"connected": true, "messagesReceived": 0, "errors": 0, "reconnects": 0, "lastMessage": null});
    assert_eq!(shown, begin);

    node.publish(&json!([{"data": "<b>one</b>"}, {"event": "trade", "data": {"price": 1}}])).await;
    let shown = client.shows("two messages", |shown| shown["messagesReceived"] == 2).await;
    let last = &shown["lastMessage"];
    assert_eq!(last["data"], "{\"price\":1}");
    let timestamp = last["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 24 && timestamp.ends_with('Z'), "{timestamp}");
    let id = last["lastEventId"].as_str().unwrap();

    relay.cut();
    let shown = client.shows("an error", |shown| shown["connected"] == false).await;
    assert_eq!((&shown["errors"], &shown["reconnects"]), (&json!(1), &json!(0)));
    let shown = client.shows("connected again", connected).await;
    assert_eq!((&shown["errors"], &shown["reconnects"]), (&json!(1), &json!(1)));
    assert_eq!(relay.answered(2).await[1].field("last-event-id"), Some(id));
}
