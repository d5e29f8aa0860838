//! `POST /revoke` on one node: within a second the token is of no use on any, its streams are over, and it stays so.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sse_node::broker::{
    Broker, Retention,
    redis::{Address, Redis},
};
use ssefleet_tests::redis::Server;

use crate::{
    issuer::{Issuer, from_now},
    support::{Node, eventually},
    world::{Answer, SECRET, Secrets, ask, node_with_a_secret, setup, shared, subscribe},
};

async fn revoke(node: &Node, body: &Value) -> Answer {
    revoke_as(node, "", &body.to_string()).await
}

async fn revoke_as(node: &Node, fields: &str, body: &str) -> Answer {
    let length = body.len();
    ask(node.admin, &format!("POST /revoke HTTP/1.1\r\nHost: node\r\n{fields}Content-Length: {length}\r\n\r\n{body}"))
        .await
}

fn token(claims: &Value) -> String {
    let mut all = json!({"exp": from_now(3600), "topics": "*"});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    Issuer::shared(SECRET).token(&all)
}

async fn status(node: &Node, token: &str) -> u16 {
    subscribe(node, "/events", token).await.0.status
}

async fn node_on(redis: &Server, secrets: &Secrets) -> Node {
    let address = Address::new(redis.url());
    let broker: Arc<dyn Broker> = Arc::new(Redis::new(address, "log".into(), Retention::of_events(1000)));
    Node::start_as(setup(&shared(), secrets, broker)).await
}

#[tokio::test]
async fn a_token_is_revoked_on_every_node_within_a_second() {
    let (redis, secrets) = (Server::start().await, Secrets::new());
    secrets.write("jwt", "secret", SECRET);
    let (here, there) = (node_on(&redis, &secrets).await, node_on(&redis, &secrets).await);
    let (bad, good) = (token(&json!({"sub": "ann", "jti": "1"})), token(&json!({"sub": "ann", "jti": "2"})));
    let (_, mut here_goes) = subscribe(&here, "/events", &bad).await;
    let (_, mut there_goes) = subscribe(&there, "/events", &bad).await;
    let (_, mut there_stays) = subscribe(&there, "/events", &good).await;

    let begun = Instant::now();
    let answer = revoke(&here, &json!({"jti": "1"})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(here_goes.read_all().await.contains("\n: the token has been revoked\n\n"));
    assert!(there_goes.read_all().await.contains("\n: the token has been revoked\n\n"));
    let took = begun.elapsed();
    println!("revoked on both nodes after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    for node in [&here, &there] {
        assert_eq!((status(node, &bad).await, status(node, &good).await), (401, 200));
        assert_eq!(node.metric("ssefleet_node_connections_closed_total{reason=\"revoked\"}").await, 1);
        assert_eq!(node.metric("ssefleet_node_revocations").await, 1);
    }
    here.publish(json!({"data": "still here"})).await;
    there_stays.until("data: still here").await;

    // A node that comes later learns it from Redis.
    let later = node_on(&redis, &secrets).await;
    eventually("it is known to a new node", async || status(&later, &bad).await == 401).await;
    assert_eq!(status(&later, &good).await, 200);
}

#[tokio::test]
async fn a_subject_is_revoked_with_all_tokens_up_to_now() {
    let (_secrets, node) = node_with_a_secret().await;
    let before = token(&json!({"sub": "ann", "iat": from_now(-5)}));
    let undated = token(&json!({"sub": "ann"}));
    let other = token(&json!({"sub": "bob"}));
    let (_, mut goes) = subscribe(&node, "/events", &before).await;
    let (_, mut stays) = subscribe(&node, "/events", &other).await;
    let answer = revoke(&node, &json!({"sub": "ann", "expiresIn": "1h"})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    goes.read_all().await;
    let after = token(&json!({"sub": "ann", "iat": from_now(2)}));
    for (token, expected) in [(&before, 401), (&undated, 401), (&after, 200), (&other, 200)] {
        assert_eq!(status(&node, token).await, expected);
    }
    node.publish(json!({"data": "still here"})).await;
    stays.until("data: still here").await;
    // Nobody gets by with a token from the far future.
    assert_eq!(status(&node, &token(&json!({"sub": "ann", "iat": from_now(600)}))).await, 401);
}

#[tokio::test]
async fn a_revocation_ends_in_its_time() {
    let (_secrets, node) = node_with_a_secret().await;
    let good = token(&json!({"jti": "1"}));
    assert_eq!(revoke(&node, &json!({"jti": "1", "expiresIn": "1s"})).await.status, 200);
    assert_eq!(status(&node, &good).await, 401);
    eventually("it is good again", async || status(&node, &good).await == 200).await;
}

#[tokio::test]
async fn while_redis_is_away_what_is_known_holds_and_nothing_is_promised() {
    let (mut redis, secrets) = (Server::start_as(&["--appendfsync", "always"]).await, Secrets::new());
    secrets.write("jwt", "secret", SECRET);
    let node = node_on(&redis, &secrets).await;
    let (first, second) = (token(&json!({"jti": "1"})), token(&json!({"jti": "2"})));
    assert_eq!(revoke(&node, &json!({"jti": "1"})).await.status, 200);
    redis.kill().await;
    assert_eq!(status(&node, &first).await, 401);
    let refused = revoke(&node, &json!({"jti": "2"})).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.error().contains("not stored"), "{}", refused.body);
    assert_eq!(status(&node, &second).await, 200);
    redis.restart().await;
    eventually("Redis takes it", async || revoke(&node, &json!({"jti": "2"})).await.status == 200).await;
    assert_eq!(status(&node, &second).await, 401);
}

/// Redis lost all, and another node has revoked since: what one node remembers, all know again.
#[tokio::test]
async fn a_redis_that_forgot_is_reminded() {
    let (redis, secrets) = (Server::start().await, Secrets::new());
    secrets.write("jwt", "secret", SECRET);
    let (remembers, other) = (node_on(&redis, &secrets).await, node_on(&redis, &secrets).await);
    assert_eq!(revoke(&remembers, &json!({"jti": "1"})).await.status, 200);
    assert_eq!(revoke(&remembers, &json!({"sub": "ann"})).await.status, 200);
    let known = async |node: &Node| node.metric("ssefleet_node_revocations").await;
    eventually("both are known to both", async || known(&remembers).await == 2 && known(&other).await == 2).await;
    redis.command(&["FLUSHALL"]).await;
    assert_eq!(revoke(&other, &json!({"jti": "2"})).await.status, 200);
    eventually("all are known to both", async || known(&remembers).await == 3 && known(&other).await == 3).await;
    let later = node_on(&redis, &secrets).await;
    eventually("all are known to a new node", async || known(&later).await == 3).await;
}

#[tokio::test]
async fn what_is_no_revocation_gets_a_sentence_and_pages_may_not() {
    let (_secrets, node) = node_with_a_secret().await;
    for wrong in ["", "{}", r#"{"jti":"a","sub":"b"}"#, r#"{"jti":"a","expiresIn":"10000h"}"#] {
        let answer = revoke_as(&node, "", wrong).await;
        assert!(answer.status == 400 && !answer.error().is_empty(), "{wrong}: {}", answer.body);
    }
    for page in ["Origin: https://evil.example\r\n", "Sec-Fetch-Site: same-origin\r\n"] {
        assert_eq!(revoke_as(&node, page, r#"{"jti":"a"}"#).await.status, 403);
    }
    let get = ask(node.admin, "GET /revoke HTTP/1.1\r\nHost: node\r\n\r\n").await;
    assert_eq!((get.status, get.field("allow")), (405, Some("POST, OPTIONS")));
    assert_eq!(node.metric("ssefleet_node_revocations").await, 0);
}
