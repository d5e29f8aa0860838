//! Keys at a URL: fetched by real HTTPS, within limits and a budget, for one block alone, and kept when their server is
//! away.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use serde_json::json;

use crate::{
    issuer::{Issuer, claims},
    key_server::KeyServer,
    support::{Node, eventually},
    world::{Secrets, ask, get, node, subscribe},
};

async fn node_of(server: &KeyServer) -> (Secrets, Node) {
    let secrets = Secrets::new();
    let node = node(&json!({"jwt": server.block(&secrets)}), &secrets).await;
    (secrets, node)
}

async fn status(node: &Node, token: &str) -> u16 {
    subscribe(node, "/events", token).await.0.status
}

#[tokio::test]
async fn a_key_set_is_fetched_and_a_new_key_is_found() {
    let (first, second) = (Issuer::es256(), Issuer::ed25519());
    let server = KeyServer::start(&[first.jwk("1")]).await;
    let (_secrets, node) = node_of(&server).await;
    assert_eq!(status(&node, &first.token_by("1", &claims("ann"))).await, 200);
    let other = second.token_by("2", &claims("ann"));
    server.serve(&[first.jwk("1"), second.jwk("2")]);
    assert_eq!(status(&node, &other).await, 200, "a kid that is not known yet is asked for");
    assert_eq!(server.asked(), 2);
    // What the head says of keys elsewhere is not read; without a kid none is chosen from several.
    let head = json!({"alg": "EdDSA", "kid": "1", "jku": server.url, "jwk": second.jwk("1")});
    assert_eq!(status(&node, &second.token_of(&head.to_string(), &claims("ann").to_string())).await, 401);
    assert_eq!(status(&node, &second.token(&claims("ann"))).await, 401);
}

/// 1,000 tokens, each of a key that nobody has, at once.
#[tokio::test]
async fn unknown_kids_lead_to_one_fetch_however_many_there_are() {
    let issuer = Issuer::es256();
    let server = KeyServer::start(&[issuer.jwk("1")]).await;
    let (_secrets, node) = node_of(&server).await;
    assert_eq!(status(&node, &issuer.token_by("1", &claims("ann"))).await, 200);
    let begun = Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let (address, token) = (node.public, issuer.token_by(&format!("unknown-{n}"), &claims("ann")));
        asking.spawn(async move {
            ask(address, &get("/events", &[("Authorization", &format!("Bearer {token}"))])).await.status
        });
    }
    let statuses = asking.join_all().await;
    println!("1000 unknown kids: {} fetches, {:?}", server.asked(), begun.elapsed());
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    assert!(server.asked() <= 2, "{} fetches", server.asked());
    assert_eq!(status(&node, &issuer.token_by("1", &claims("ann"))).await, 200);
}

#[tokio::test]
async fn two_blocks_never_share_keys() {
    let (reader, writer) = (Issuer::es256(), Issuer::es256());
    // The same kid at both: only one of them is the right key.
    let (readers, writers) = (KeyServer::start(&[reader.jwk("1")]).await, KeyServer::start(&[writer.jwk("1")]).await);
    let secrets = Secrets::new();
    let mut publish = writers.block(&secrets);
    secrets.write("ca-of-writers", "ca.crt", &writers.certificate);
    publish["keys"][0]["jwks"]["caSecretRef"]["name"] = "ca-of-writers".into();
    let node = node(&json!({"jwt": readers.block(&secrets), "publish": {"jwt": publish}}), &secrets).await;
    let publish = async |token: &str| {
        let request = format!(
            "POST /publish HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {token}\r\nContent-Length: 12\r\n\r\n{{\"data\":\"x\"}}"
        );
        ask(node.publish, &request).await.status
    };
    let (of_reader, of_writer) = (reader.token_by("1", &claims("ann")), writer.token_by("1", &claims("bob")));
    assert_eq!((status(&node, &of_reader).await, status(&node, &of_writer).await), (200, 401));
    assert_eq!((publish(&of_reader).await, publish(&of_writer).await), (401, 200));
}

#[tokio::test]
async fn a_key_that_leaves_the_set_ends_its_streams() {
    let (old, new) = (Issuer::es256(), Issuer::es256());
    let server = KeyServer::start(&[old.jwk("old"), new.jwk("new")]).await;
    let (_secrets, node) = node_of(&server).await;
    let (_, mut stays) = subscribe(&node, "/events", &new.token_by("new", &claims("ann"))).await;
    let (_, mut goes) = subscribe(&node, "/events", &old.token_by("old", &claims("ann"))).await;
    server.serve(&[new.jwk("new")]);
    // A kid that is not known makes the node look.
    assert_eq!(status(&node, &old.token_by("unknown", &claims("ann"))).await, 401);
    assert!(goes.read_all().await.contains(": what let you in is no longer good"), "it ends with a word");
    assert_eq!(status(&node, &old.token_by("old", &claims("ann"))).await, 401);
    node.publish(json!({"data": "still here"})).await;
    stays.until("data: still here").await;
    assert_eq!(node.metric("ssefleet_node_connections_closed_total{reason=\"key_removed\"}").await, 1);
}

#[tokio::test]
async fn what_is_no_key_set_changes_nothing_and_is_told() {
    let issuer = Issuer::es256();
    let server = KeyServer::start(&[issuer.jwk("1")]).await;
    let (_secrets, node) = node_of(&server).await;
    let good = issuer.token_by("1", &claims("ann"));
    assert_eq!(status(&node, &good).await, 200);
    let too_large = json!({"keys": [issuer.jwk("2")], "padding": "x".repeat(300 << 10)}).to_string();
    server.answer(Response::new(too_large.into()));
    assert_eq!(status(&node, &issuer.token_by("2", &claims("ann"))).await, 401);
    assert_eq!(status(&node, &good).await, 200);
    assert_eq!(node.metric("ssefleet_node_jwks_stale").await, 1);
    // It is tried again by itself.
    server.serve(&[issuer.jwk("1")]);
    eventually("the set is there again", async || node.metric("ssefleet_node_jwks_stale").await == 0).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let issuer = Issuer::es256();
    let (attacker, server) = (KeyServer::start(&[issuer.jwk("1")]).await, KeyServer::start(&[]).await);
    let redirect = Response::builder().status(302).header("location", &attacker.url);
    server.answer(redirect.body(Full::<Bytes>::default()).unwrap());
    let (_secrets, node) = node_of(&server).await;
    assert_eq!(status(&node, &issuer.token_by("1", &claims("ann"))).await, 401);
    assert!(server.asked() >= 1);
    assert_eq!(attacker.asked(), 0);
}

/// Its certificate is of an authority that is not the one in the Secret.
#[tokio::test]
async fn a_server_that_is_not_trusted_gives_no_keys() {
    let issuer = Issuer::es256();
    let (server, other) = (KeyServer::start(&[issuer.jwk("1")]).await, KeyServer::start(&[]).await);
    let secrets = Secrets::new();
    let block = server.block(&secrets);
    secrets.write("ca", "ca.crt", &other.certificate);
    let node = node(&json!({"jwt": block}), &secrets).await;
    assert_eq!(status(&node, &issuer.token_by("1", &claims("ann"))).await, 401);
    assert_eq!(server.asked(), 0);
    assert!(node.metric("ssefleet_node_jwks_fetches_total{outcome=\"failed\"}").await >= 1);
}

/// A server that accepts and says nothing holds nobody up for long, nor those whose keys are elsewhere.
#[tokio::test]
async fn a_server_that_hangs_holds_nobody_up() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://localhost:{}/keys", listener.local_addr().unwrap().port());
    let secrets = Secrets::new();
    secrets.write("jwt", "secret", crate::world::SECRET);
    let issuer = Issuer::openssl(&secrets.folder(), "ec", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    secrets.write("ec", "public.pem", std::fs::read(secrets.folder().join("ec.pub")).unwrap());
    let keys = json!([{"jwks": {"url": url}}, {"publicKeyRef": {"name": "ec", "key": "public.pem"}}]);
    let node = node(&json!({"jwt": {"keys": keys, "algorithms": ["ES256"]}}), &secrets).await;
    let begun = Instant::now();
    assert_eq!(status(&node, &issuer.token(&claims("ann"))).await, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(status(&node, &Issuer::es256().token_by("1", &claims("ann"))).await, 401);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

/// A Secret beside it has changed: the set is not fetched anew for that, nor is its budget.
#[tokio::test]
async fn a_key_set_goes_on_when_something_else_changes() {
    let issuer = Issuer::es256();
    let server = KeyServer::start(&[issuer.jwk("1")]).await;
    let secrets = Secrets::new();
    secrets.write("publish", "token", "first-token");
    let publish = json!({"tokenSecretRef": {"name": "publish", "key": "token"}});
    let node = node(&json!({"jwt": server.block(&secrets), "publish": publish}), &secrets).await;
    assert_eq!(status(&node, &issuer.token_by("1", &claims("ann"))).await, 200);
    assert_eq!(status(&node, &issuer.token_by("2", &claims("ann"))).await, 401);
    assert_eq!(server.asked(), 2);
    secrets.write("publish", "token", "second-token");
    let request =
        "POST /publish HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer second-token\r\nContent-Length: 1\r\n\r\nx";
    eventually("the new token is good", async || ask(node.publish, request).await.status == 200).await;
    assert_eq!(status(&node, &issuer.token_by("3", &claims("ann"))).await, 401);
    assert_eq!(server.asked(), 2);
}
