//! Who is one: by address, by what trusted proxies say, by subject and by header, through the front door.

use serde_json::json;
use sse_node::Setup;

use crate::{
    issuer::{Issuer, claims},
    raw::{alone, ask, memory, spec},
    support::{Node, setup, stream},
};

/// What an asker sends, and whether it is let in.
type Case<'a> = (&'a str, bool);

async fn in_turn(limits: serde_json::Value, cases: &[Case<'_>]) {
    let node = alone(&limits, json!({})).await;
    for (n, (fields, is_in)) in cases.iter().enumerate() {
        let client = ask(node.public, fields).await;
        assert_eq!(client.is_in(), *is_in, "{n}: {fields}: {}", client.head);
    }
}

#[tokio::test]
async fn nobody_is_believed_who_is_no_trusted_proxy() {
    let limits = json!({"connect": {"max": 1, "refuseWith": "Status"}, "trustedProxies": ["10.0.0.0/8"]});
    in_turn(
        limits,
        &[
            ("X-Forwarded-For: 203.0.113.1\r\n", true),
            ("X-Forwarded-For: 203.0.113.2\r\n", false),
            ("X-Forwarded-For: 10.0.0.1\r\n", false),
            ("Forwarded: for=203.0.113.3\r\nX-Real-IP: 203.0.113.3\r\n", false),
        ],
    )
    .await;
}

#[tokio::test]
async fn behind_trusted_proxies_the_last_other_address_is_one() {
    let limits =
        json!({"connect": {"max": 1, "refuseWith": "Status"}, "trustedProxies": ["127.0.0.0/8", "10.0.0.0/8"]});
    in_turn(
        limits,
        &[
            ("X-Forwarded-For: 203.0.113.1\r\n", true),
            ("X-Forwarded-For: 203.0.113.1\r\n", false),
            ("X-Forwarded-For: 203.0.113.2\r\n", true),
            // Whatever the client puts before it, on the same line or on one of its own.
            ("X-Forwarded-For: 198.51.100.7, 203.0.113.2\r\n", false),
            ("X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: 203.0.113.2\r\n", false),
            ("X-Forwarded-For: 198.51.100.7\r\nx-forwarded-for: 203.0.113.2, 10.1.1.1\r\n", false),
            // IPv6 by its first 64 bits, IPv4 in whatever notation.
            ("X-Forwarded-For: 2001:db8:1:2::1\r\n", true),
            ("X-Forwarded-For: 2001:db8:1:2:ffff::9\r\n", false),
            ("X-Forwarded-For: 2001:db8:1:3::1\r\n", true),
            ("X-Forwarded-For: ::ffff:203.0.113.2\r\n", false),
            // What is no address makes the last proxy that is trusted the client: once, and never again.
            ("X-Forwarded-For: nonsense\r\n", true),
            ("X-Forwarded-For: other nonsense\r\n", false),
            ("X-Forwarded-For: 203.0.113.9, \u{fc}\r\n", false),
            ("", false),
            ("X-Forwarded-For: nonsense, 10.7.7.7\r\n", true),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_header_tells_who_is_one_and_those_without_are_one_together() {
    let limits = json!({"connect": {"max": 1, "per": "Header", "header": "X-Api-Key", "refuseWith": "Status"}});
    in_turn(
        limits,
        &[
            ("X-Api-Key: a\r\n", true),
            ("x-api-key: a\r\n", false),
            ("X-Api-Key: b\r\n", true),
            ("", true),
            ("", false),
            ("X-Api-Key: c\r\nX-Api-Key: d\r\n", false),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_token_s_subject_is_one_whatever_its_tokens_and_addresses() {
    let secret = b"a shared secret of thirty-two bytes";
    let secrets = tempfile::tempdir().unwrap();
    std::fs::create_dir(secrets.path().join("jwt")).unwrap();
    std::fs::write(secrets.path().join("jwt/key"), secret).unwrap();
    let limits = json!({
        "connect": {"max": 1, "per": "Subject", "refuseWith": "Status"}, "trustedProxies": ["127.0.0.0/8"],
        "publish": {"max": 1, "window": "1h", "per": "Subject"},
    });
    let jwt = json!({"keys": [{"secretRef": {"name": "jwt", "key": "key"}}], "algorithms": ["HS256"]});
    let auth = json!({"jwt": jwt, "publish": {"jwt": jwt}});
    let more = json!({"auth": auth, "broker": {"memory": {}}, "fleet": {"replicas": 1}});
    let serves = setup(stream(&spec(&limits, more)), memory());
    let node = Node::start_as(Setup { secrets: secrets.path().into(), ..serves }).await;
    let bearer = |subject: &str, id: u32| {
        let mut claims = claims(subject);
        claims["jti"] = id.to_string().into();
        format!("Authorization: Bearer {}\r\n", Issuer::shared(secret).token(&claims))
    };
    let first = ask(node.public, &bearer("ann", 1)).await;
    assert!(first.is_in(), "{}", first.head);
    assert_eq!(ask(node.public, &(bearer("ann", 2) + "X-Forwarded-For: 203.0.113.1\r\n")).await.status(), 429);
    assert!(ask(node.public, &bearer("bob", 3)).await.is_in());
    // Who is not let in anyway is not counted.
    assert_eq!(ask(node.public, "Authorization: Bearer x\r\n").await.status(), 401);
    // And so for those who publish.
    let publish = async |subject: &str| {
        let token = bearer(subject, 4);
        let token = token.trim_end().split_once(": ").unwrap().1.to_owned();
        let request = hyper::Request::post("/publish").header("host", "node").header("authorization", token);
        let request = request.body(http_body_util::Full::from("x")).unwrap();
        crate::support::send(node.publish, request).await.status().as_u16()
    };
    assert_eq!((publish("ann").await, publish("ann").await, publish("bob").await), (200, 429, 200));
}
