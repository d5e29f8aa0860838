//! S9: 200, `text/event-stream`, two data messages, Last-Event-ID honoured; and everything else that can be asked for.

use serde_json::json;

use crate::{conversation::Conversation, node};

#[tokio::test]
async fn s9_a_stream_and_its_resumption() {
    let node = node(json!({})).await;
    let mut talk = Conversation::begin(node.public, &["GET /events?topic=a"]).await;
    talk.until("\n\n").await;
    let lines = ["POST /publish", "Content-Type: application/json"];
    let body = r#"[{"topic":"a","event":"trade","data":{"price":12.5}},{"topic":"a","data":"one\ntwo"}]"#;
    let published = Conversation::with_body(node.publish, &lines, body).await.whole().await;
    insta::assert_snapshot!("publish", published);
    insta::assert_snapshot!("subscribe", talk.until("data: two\n\n").await.told());

    let ids = node.publish(json!([{"topic": "a", "data": "three"}, {"topic": "a", "data": "four"}])).await;
    let field = format!("Last-Event-ID: {}", ids[0]);
    let mut back = Conversation::begin(node.public, &["GET /events?topic=a", &field]).await;
    insta::assert_snapshot!("resume", back.until("data: four\n\n").await.told());
    let mut lost = Conversation::begin(node.public, &["GET /events?topic=a", "Last-Event-ID: of-another-log"]).await;
    insta::assert_snapshot!("reset", lost.until("began anew").await.until("\n\n").await.told());
}

#[tokio::test]
async fn s9_what_else_can_be_asked_for() {
    let node = node(json!({})).await;
    for (name, lines) in [
        ("head", vec!["HEAD /events"]),
        ("options", vec!["OPTIONS /events"]),
        ("health", vec!["GET /health"]),
        ("unknown_path", vec!["GET /nothing"]),
        ("unknown_method", vec!["DELETE /events"]),
        ("bad_topic", vec!["GET /events?topic=a*b"]),
    ] {
        insta::assert_snapshot!(name, Conversation::begin(node.public, &lines).await.whole().await);
    }
}
