//! Secrets and the manifest change while the node runs: a new key works, a removed one ends the streams it let in.

use std::fs;

use serde_json::{Value, json};
use sse_node::{Setup, changes::Changes};

use crate::{
    issuer::{Issuer, claims},
    support::{Node, eventually},
    world::{SECRET, Secrets, ask, get, memory, node, setup, spec, subscribe},
};

const OTHER: &[u8] = b"another secret of thirty-two bytes!!";

async fn status(node: &Node, token: &str) -> u16 {
    subscribe(node, "/events", token).await.0.status
}

/// Two keys, each in a Secret of its own.
fn two() -> Value {
    let key = |name: &str| json!({"secretRef": {"name": name, "key": "secret"}});
    json!({"jwt": {"keys": [key("old"), key("new")], "algorithms": ["HS256"]}})
}

#[tokio::test]
async fn one_key_is_changed_for_another() {
    let secrets = Secrets::new();
    secrets.write("old", "secret", SECRET);
    let node = node(&two(), &secrets).await;
    let (old, new) = (Issuer::shared(SECRET).token(&claims("ann")), Issuer::shared(OTHER).token(&claims("bob")));
    // A Secret that is not there yet stops nobody else.
    assert_eq!((status(&node, &old).await, status(&node, &new).await), (200, 401));
    assert_eq!(node.metric("ssefleet_node_auth_keys_useless").await, 1);
    assert_eq!(node.get(node.admin, "/readyz").await.0, 200);
    let (_, mut goes) = subscribe(&node, "/events", &old).await;

    secrets.write("new", "secret", OTHER);
    eventually("the new key is good", async || status(&node, &new).await == 200).await;
    assert_eq!(status(&node, &old).await, 200);
    let (_, mut stays) = subscribe(&node, "/events", &new).await;

    secrets.remove("old", "secret");
    let end = goes.read_all().await;
    assert!(end.contains(": what let you in is no longer good; come back with a new token\n\n"), "{end}");
    assert_eq!((status(&node, &old).await, status(&node, &new).await), (401, 200));
    node.publish(json!({"data": "still here"})).await;
    stays.until("data: still here").await;
}

#[tokio::test]
async fn a_key_that_is_changed_in_place_ends_its_streams() {
    let secrets = Secrets::new();
    secrets.write("old", "secret", SECRET);
    secrets.write("new", "secret", SECRET);
    let node = node(&two(), &secrets).await;
    let (_, mut goes) = subscribe(&node, "/events", &Issuer::shared(SECRET).token(&claims("ann"))).await;
    secrets.write("old", "secret", OTHER);
    let other = Issuer::shared(OTHER).token(&claims("ann"));
    eventually("the other key is good", async || status(&node, &other).await == 200).await;
    // The same key is still there, by another name.
    node.publish(json!({"data": "still here"})).await;
    goes.until("data: still here").await;
    secrets.write("new", "secret", OTHER);
    goes.read_all().await;
}

#[tokio::test]
async fn a_secret_that_is_too_short_is_refused_and_not_used() {
    let secrets = Secrets::new();
    secrets.write("old", "secret", "hunter2");
    let node = node(&two(), &secrets).await;
    assert_eq!(node.metric("ssefleet_node_auth_keys_useless").await, 2);
    assert_eq!(status(&node, &Issuer::shared(b"hunter2").token(&claims("ann"))).await, 401);
}

#[tokio::test]
async fn auth_is_switched_on_and_off_with_the_manifest() {
    let secrets = Secrets::new();
    secrets.write("old", "secret", SECRET);
    let file = secrets.folder().join("stream.yaml");
    let write = |auth: &Value| {
        let object = json!({"apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream", "metadata": {"name": "quotes"}, "spec": spec(auth)});
        fs::write(secrets.folder().join("stream.new"), object.to_string()).unwrap();
        fs::rename(secrets.folder().join("stream.new"), &file).unwrap();
    };
    write(&json!({}));
    let node = Node::start_as(Setup {
        changes: Some(Changes::since_now(file.clone())),
        ..setup(&json!({}), &secrets, memory())
    })
    .await;
    let open = async || ask(node.public, &get("/events", &[])).await.status;
    let (answer, mut goes) = subscribe(&node, "/events", "").await;
    assert_eq!(answer.status, 200);
    write(&two());
    eventually("a token is needed", async || open().await == 401).await;
    // Who came in without one has to go.
    goes.read_all().await;
    let token = Issuer::shared(SECRET).token(&claims("ann"));
    let (answer, mut stays) = subscribe(&node, "/events", &token).await;
    assert_eq!(answer.status, 200);
    write(&json!({}));
    eventually("no token is needed", async || open().await == 200).await;
    node.publish(json!({"data": "still here"})).await;
    stays.until("data: still here").await;
}
