//! Who may publish: whoever shows the token of the Secret, or a JSON Web Token that grants the topic. Nobody is listened to
//! before.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{
    issuer::{Issuer, from_now},
    support::{Node, eventually},
    world::{Answer, Client, SECRET, Secrets, ask, node, subscribe},
};

async fn publish(node: &Node, token: Option<&str>, content_type: &str, body: &str) -> Answer {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!("POST /publish HTTP/1.1\r\nHost: node\r\nContent-Type: {content_type}\r\n{token}");
    ask(node.publish, &format!("{head}Content-Length: {length}\r\n\r\n{body}")).await
}

fn by_secret() -> Value {
    json!({"publish": {"tokenSecretRef": {"name": "publish", "key": "token"}}})
}

#[tokio::test]
async fn the_secrets_tokens_let_one_publish() {
    let secrets = Secrets::new();
    secrets.write("publish", "token", "first-token\nsecond-token\n");
    let node = node(&by_secret(), &secrets).await;
    let event = r#"{"data":"x"}"#;
    insta::assert_snapshot!("publish_no_token", publish(&node, None, "application/json", event).await.text());
    let wrong = publish(&node, Some("first-toke"), "application/json", event).await;
    insta::assert_snapshot!("publish_bad_token", wrong.text());
    for good in ["first-token", "second-token"] {
        assert_eq!(publish(&node, Some(good), "application/json", event).await.status, 200, "{good}");
    }
    // Subscribers need none.
    assert_eq!(subscribe(&node, "/events", "").await.0.status, 200);
    secrets.write("publish", "token", "third-token");
    let status = async |token| publish(&node, Some(token), "application/json", event).await.status;
    eventually("the new token is good", async || status("third-token").await == 200).await;
    assert_eq!(status("first-token").await, 401);
    secrets.write("publish", "token", "\n");
    eventually("no token is good", async || status("third-token").await == 401).await;
    assert_eq!(status("").await, 401);
    assert_eq!(node.metric("ssefleet_node_auth_keys_useless").await, 1);
    assert!(node.metric("ssefleet_node_publish_refused_total{reason=\"token_unknown\"}").await >= 3);
}

/// The answer comes though the body never does.
#[tokio::test]
async fn a_body_is_not_waited_for() {
    let node = node(&by_secret(), &Secrets::new()).await;
    let mut client = Client::connect(node.publish).await;
    let head = "POST /publish HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer x\r\nContent-Length: 1000000\r\n\r\n";
    assert_eq!(client.ask(head).await.status, 401);
    let waits = "POST /publish HTTP/1.1\r\nHost: node\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";
    assert_eq!(ask(node.publish, waits).await.status, 401);
}

#[tokio::test]
async fn a_token_grants_topics_to_publish_to() {
    let secrets = Secrets::new();
    secrets.write("jwt", "secret", SECRET);
    let block = json!({
        "keys": [{"secretRef": {"name": "jwt", "key": "secret"}}], "algorithms": ["HS256"], "topicsClaim": "publish",
    });
    let node = node(&json!({"publish": {"jwt": block}}), &secrets).await;
    let mut reader = node.subscribe("/events").await;
    let token = Issuer::shared(SECRET)
        .token(&json!({"sub": "ann", "exp": from_now(60), "publish": ["a", "orders*"], "topics": "*"}));
    let send = async |content_type: &str, body: &str| publish(&node, Some(&token), content_type, body).await;
    let json = "application/json";

    assert_eq!(send(json, r#"{"topic":"a","data":1}"#).await.status, 200);
    let refused = send(json, r#"[{"topic":"orders/1","data":"never"},{"topic":"b","data":"never"}]"#).await;
    insta::assert_snapshot!("publish_topic_not_granted", refused.text());
    // The topic of an event that names none is "default".
    assert_eq!(send(json, r#"{"data":"never"}"#).await.status, 403);
    let lines =
        "{\"topic\":\"a\",\"data\":2}\n{\"topic\":\"b\",\"data\":\"never\"}\n{\"topic\":\"a\",\"data\":\"never\"}\n";
    insta::assert_snapshot!("publish_line_not_granted", send("application/x-ndjson", lines).await.text());
    let cloud = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"b","data":"never"}"#;
    assert_eq!(send("application/cloudevents+json", cloud).await.status, 403);
    assert_eq!(send(json, r#"{"topic":"orders/1","data":3}"#).await.status, 200);
    assert_eq!(reader.data().await, ["1", "2", "3"]);
    assert_eq!(node.metric("ssefleet_node_publish_refused_total{reason=\"topic_not_granted\"}").await, 4);
    let without = Issuer::shared(SECRET).token(&json!({"sub": "ann", "exp": from_now(60), "topics": "*"}));
    assert_eq!(publish(&node, Some(&without), json, r#"{"topic":"a","data":1}"#).await.status, 403);
}

/// What was sent before counts; what comes after, not.
#[tokio::test]
async fn a_body_takes_no_longer_than_its_token_is_good() {
    let secrets = Secrets::new();
    secrets.write("publish", "token", "first-token");
    let node = node(&by_secret(), &secrets).await;
    let mut reader = node.subscribe("/events").await;
    let mut client = Client::connect(node.publish).await;
    let head = "POST /publish HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer first-token\r\n";
    let lines = "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    let line = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let first = line("{\"data\":\"before\"}\n");
    client.socket.write_all(format!("{head}{lines}{first}").as_bytes()).await.unwrap();
    assert_eq!(reader.data().await, ["before"]);
    secrets.write("publish", "token", "second-token");
    let status = async || publish(&node, Some("first-token"), "application/json", r#"{"data":"x"}"#).await.status;
    eventually("the token is no longer good", async || status().await == 401).await;
    let refused = client.ask(&line("{\"data\":\"after\"}\n")).await;
    assert_eq!(refused.status, 401);
    let problem: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!((&problem["line"], &problem["stored"]), (&json!(2), &json!(1)));
}
