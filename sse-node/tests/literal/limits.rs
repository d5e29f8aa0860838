//! S1 and S5: how a node says no, to programs and to browsers.

use serde_json::{Value, json};

use crate::{conversation::Conversation, node};

const BROWSER: [&str; 3] = ["GET /events", "Accept: text/event-stream", "Sec-Fetch-Mode: cors"];

async fn both(name: &str, spec: Value) {
    let node = node(spec).await;
    let mut first = Conversation::begin(node.public, &["GET /events"]).await;
    insta::assert_snapshot!(format!("{name}_first"), first.until("\n\n").await.told());
    let program = Conversation::begin(node.public, &["GET /events"]).await.whole().await;
    insta::assert_snapshot!(format!("{name}_status"), program);
    let browser = Conversation::begin(node.public, &BROWSER).await.whole().await;
    insta::assert_snapshot!(format!("{name}_retry"), browser);
}

#[tokio::test]
async fn s1_a_full_node() {
    both("full", json!({"connections": {"maxPerPod": 1, "refuseWith": "Auto"}})).await;
}

#[tokio::test]
async fn s5_a_rate_limit() {
    let connect = json!({"max": 1, "window": "1h", "message": "one an hour, please", "refuseWith": "Auto"});
    both("rate_limited", json!({"rateLimits": {"connect": connect}})).await;
}

#[tokio::test]
async fn s5_too_many_at_once() {
    both("concurrent", json!({"rateLimits": {"concurrent": {"max": 1, "refuseWith": "Auto"}}})).await;
}

#[tokio::test]
async fn s5_publishing() {
    let node = node(json!({"rateLimits": {"publish": {"max": 1, "window": "1h"}}})).await;
    let send = async || {
        let lines = ["POST /publish", "Content-Type: application/json"];
        Conversation::with_body(node.publish, &lines, r#"{"data":"x"}"#).await.whole().await
    };
    insta::assert_snapshot!("publish_first", send().await);
    insta::assert_snapshot!("publish_limited", send().await);
}
