//! Who may read: tokens in the places where each kind of client can put them, and pages of other origins.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};
use ssefleet_tests::eventsource::{CLOSED, CONNECTING, Client, Library};

use crate::{
    relay::Relay,
    servers::node::{Extras, Node},
    streams::with_both_libraries,
};

with_both_libraries! {
    a_token_in_the_url_lets_in_and_in_again
    without_a_token_it_is_over
    a_topic_that_is_not_granted_ends_it
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A token for a topic, HS256, for an hour.
pub fn token(topic: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"sub": "conformance", "topics": [topic], "exp": now + 3600});
    let part = |part: Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", part(json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// A node that wants tokens, in a cookie too, and lets pages of an origin read.
pub async fn strict(origin: &str) -> Node {
    let sources = json!([{"header": "Authorization"}, {"query": "token"}, {"cookie": "session"}]);
    let keys = json!([{"secretRef": {"name": "auth", "key": "key"}}]);
    let spec = json!({
        "auth": {"jwt": {"keys": keys, "algorithms": ["HS256"], "tokenSources": sources}},
        "cors": {"allowedOrigins": [origin], "allowCredentials": true},
        "connections": {"retry": "200ms", "heartbeatInterval": "1s"},
    });
    let extras = Extras { secrets: &[("auth/key", KEY)], ..Extras::default() };
    Node::start_with(spec, extras).await
}

const NOBODY: &str = "https://app.example.com";

async fn a_token_in_the_url_lets_in_and_in_again(library: Library) {
    let node = strict(NOBODY).await;
    let relay = Relay::to(node.public).await;
    let mut client = Client::watch(library, json!({"url": format!("{}?token={}", relay.url(), token("a"))}));
    client.opens().await;
    for cut in [false, true] {
        if cut {
            relay.cut();
            assert_eq!(client.error().await, CONNECTING);
        }
        node.publish(&json!([{"topic": "b", "data": "not granted"}, {"topic": "a", "data": "granted"}])).await;
        assert_eq!(client.message().await, "granted");
    }
}

async fn without_a_token_it_is_over(library: Library) {
    let node = strict(NOBODY).await;
    let mut client = Client::watch(library, json!({"url": node.url()}));
    assert_eq!(client.error().await, CLOSED);
    node.has_refused("no_token").await;
}

async fn a_topic_that_is_not_granted_ends_it(library: Library) {
    let node = strict(NOBODY).await;
    let url = format!("{}?topic=b&token={}", node.url(), token("a"));
    let mut client = Client::watch(library, json!({"url": url}));
    assert_eq!(client.error().await, CLOSED);
    node.has_refused("topic_not_granted").await;
}

#[tokio::test]
async fn a_program_sends_its_token_in_a_header() {
    let node = strict(NOBODY).await;
    let headers = json!({"Authorization": format!("Bearer {}", token("a"))});
    let mut client = Client::watch(Library::Node, json!({"url": node.url(), "headers": headers}));
    client.opens().await;
}

/// Pages are at other nodes' addresses: another port is another origin, to which the cookies of the host go as well.
#[tokio::test]
async fn a_page_of_a_listed_origin_reads_with_its_visitors_cookie_and_no_other_page_does() {
    let (app, other) = tokio::join!(Node::start(json!({})), Node::start(json!({})));
    let node = strict(&format!("http://{}", app.public)).await;
    let page = |of: &Node| format!("http://{}/health", of.public);
    let cookie = json!({"name": "session", "value": token("a"), "url": node.url()});
    let watch = |page: String, with_credentials: bool| {
        let options = json!({"url": node.url(), "page": page, "cookie": cookie, "withCredentials": with_credentials});
        Client::watch(Library::Chromium, options)
    };
    let mut listed = watch(page(&app), true);
    listed.opens().await;
    node.publish(&json!({"topic": "a", "data": "hello"})).await;
    assert_eq!(listed.message().await, "hello");
    drop(listed);
    // Without the word for it, no cookie is sent.
    assert_eq!(watch(page(&app), false).error().await, CLOSED);
    // With the cookie it is a good request, but the page may not read the answer.
    assert_eq!(watch(page(&other), true).error().await, CLOSED);
}
