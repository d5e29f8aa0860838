//! S6: which web pages may read the stream.

use serde_json::json;

use crate::{conversation::Conversation, node};

#[tokio::test]
async fn s6_cors() {
    let node = node(json!({"cors": {
        "allowedOrigins": ["https://app.example.com", "https://*.example.org"], "allowCredentials": true, "maxAge": "10m",
    }}))
    .await;
    let preflight = ["Access-Control-Request-Method: GET", "Access-Control-Request-Headers: last-event-id"];
    for (name, lines) in [
        ("preflight_listed", vec!["OPTIONS /events", "Origin: https://app.example.com", preflight[0], preflight[1]]),
        ("preflight_pattern", vec!["OPTIONS /events", "Origin: https://a.example.org", preflight[0], preflight[1]]),
        ("preflight_unlisted", vec!["OPTIONS /events", "Origin: https://evil.example.net", preflight[0], preflight[1]]),
        ("head_listed", vec!["HEAD /events", "Origin: https://app.example.com"]),
        ("head_unlisted", vec!["HEAD /events", "Origin: https://evil.example.net"]),
        ("refused_listed", vec!["GET /events?topic=a*b", "Origin: https://app.example.com"]),
    ] {
        insta::assert_snapshot!(name, Conversation::begin(node.public, &lines).await.whole().await);
    }
    let mut talk = Conversation::begin(node.public, &["GET /events", "Origin: https://app.example.com"]).await;
    insta::assert_snapshot!("subscribe_listed", talk.until("\n\n").await.told());
}
