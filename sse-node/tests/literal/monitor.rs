//! S3 and S7: what a node tells of itself, and what a tap shows.

use serde_json::json;

use crate::{conversation::Conversation, node, support::eventually};

#[tokio::test]
async fn s3_the_monitor() {
    let node = node(json!({})).await;
    let mut reader = node.subscribe("/events").await;
    node.publish(json!({"data": "x"})).await;
    reader.next().await;
    eventually("it is counted", async || node.metric("ssefleet_node_events_sent_total").await == 1).await;
    let told = Conversation::begin(node.admin, &["GET /metrics", "Accept: application/json"]).await.whole().await;
    let at = told.find("\"timestamp\":\"").unwrap() + "\"timestamp\":\"".len();
    let (before, rest) = told.split_at(at);
    // ISO 8601: as long each time, and of this form.
    let (time, after) = rest.split_once('"').unwrap();
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    insta::assert_snapshot!(format!("{before}{form}\"{after}"));
}

#[tokio::test]
async fn s7_a_tap() {
    let node = node(json!({})).await;
    let mut reader = node.subscribe("/events?topic=a").await;
    let which = reader.response.headers["x-sse-connection"].to_str().unwrap().to_owned();
    let mut connection = Conversation::begin(node.admin, &[&format!("GET /tap?connection={which}")]).await;
    let mut topic = Conversation::begin(node.admin, &["GET /tap?topic=a"]).await;
    connection.until("\r\n\r\n").await;
    topic.until("\r\n\r\n").await;
    node.publish(json!([{"topic": "a", "event": "trade", "data": "two\nlines"}, {"topic": "b", "data": "no"}])).await;
    reader.next().await;
    let request = format!("connection={which}");
    let told = connection.until("lines\n\n\r\n").await.told().replace(&request, "connection=<connection>");
    insta::assert_snapshot!("tap_of_a_connection", told);
    insta::assert_snapshot!("tap_of_a_topic", topic.until("lines\n\n").await.told());
}
