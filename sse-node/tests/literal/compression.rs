//! S2: message compression, by both modes.

use serde_json::json;

use crate::{conversation::Conversation, node};

/// Long enough to be compressed, and the same each time.
fn long() -> String {
    "0123456789".repeat(30)
}

#[tokio::test]
async fn s2_an_envelope() {
    let node = node(json!({"compression": {"mode": "Envelope", "thresholdBytes": 100}})).await;
    let mut talk = Conversation::begin(node.public, &["GET /events"]).await;
    talk.until("\n\n").await;
    node.publish(json!([{"data": "short"}, {"event": "trade", "data": {"text": long()}}])).await;
    let told = talk.until("\"compressed\":true").await.until("\"}\n\n").await.told();
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn s2_transport() {
    let node = node(json!({"compression": {"mode": "Transport", "thresholdBytes": 100}})).await;
    let mut talk = Conversation::begin(node.public, &["GET /events", "Accept-Encoding: gzip"]).await;
    talk.until("\r\n\r\n").await;
    let ids = node.publish(json!([{"data": "short"}, {"data": long()}, {"data": "the end"}])).await;
    // Below the threshold text is stored as it is, so that its end can be awaited.
    let told = talk.until(&format!("id: {}\ndata: the end\n\n", ids[2])).await.told();
    insta::assert_snapshot!(told);
}
