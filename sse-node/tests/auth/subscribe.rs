//! Row S4: no token and a bad one are 401, what is not granted is 403; the token is found where the manifest says, by
//! whatever protocol; its subject is known from then on.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    issuer::{Issuer, claims, from_now},
    support::Node,
    world::{Client, SECRET, Secrets, ask, get, node, node_with_a_secret, subscribe},
};

#[tokio::test]
async fn who_shows_no_token_or_a_bad_one_is_told_so() {
    let (_secrets, node) = node_with_a_secret().await;
    let without = ask(node.public, &get("/events", &[])).await;
    insta::assert_snapshot!("no_token", without.text());
    let bad = Issuer::shared(b"another secret of some forty bytes or so").token(&claims("ann"));
    let refused = subscribe(&node, "/events", &bad).await.0;
    insta::assert_snapshot!("bad_token", refused.text());
    let few = Issuer::shared(SECRET).token(&json!({"sub": "ann", "exp": from_now(60), "topics": ["a", "orders*"]}));
    let refused = subscribe(&node, "/events?topic=a&topic=b", &few).await.0;
    insta::assert_snapshot!("topic_not_granted", refused.text());
    for (reason, count) in [("no_token", 1), ("token_signature", 1), ("topic_not_granted", 1)] {
        let metric = format!("ssefleet_node_connections_refused_total{{reason=\"{reason}\"}}");
        assert_eq!(node.metric(&metric).await, count, "{reason}");
    }
}

/// Not even a browser's EventSource is told to come back: it would be refused again.
#[tokio::test]
async fn event_sources_get_the_status_too() {
    let (_secrets, node) = node_with_a_secret().await;
    let browser = [("Accept", "text/event-stream"), ("Sec-Fetch-Mode", "cors")];
    assert_eq!(ask(node.public, &get("/events", &browser)).await.status, 401);
    assert_eq!(ask(node.public, "HEAD /events HTTP/1.1\r\nHost: node\r\n\r\n").await.status, 401);
}

#[tokio::test]
async fn who_asks_for_no_topic_gets_all_that_are_granted() {
    let (_secrets, node) = node_with_a_secret().await;
    let issuer = Issuer::shared(SECRET);
    let token = |topics: Value| issuer.token(&json!({"sub": "ann", "exp": from_now(60), "topics": topics}));
    let (answer, mut all) = subscribe(&node, "/events", &token(json!(["a", "orders*"]))).await;
    assert_eq!(answer.status, 200);
    let (_, mut some) = subscribe(&node, "/events?topic=orders/eu*", &token(json!("a orders*"))).await;
    for topic in ["a", "b", "orders/us", "orders/eu/1", "ab"] {
        node.publish(json!({"topic": topic, "data": topic})).await;
    }
    node.publish(json!({"topic": "orders/eu/end", "data": "end"})).await;
    let data = |text: String| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(Into::into).collect()
    };
    assert_eq!(data(all.until("data: end").await), ["a", "orders/us", "orders/eu/1", "end"]);
    assert_eq!(data(some.until("data: end").await), ["orders/eu/1", "end"]);

    for (topics, path, refused) in [
        (json!(["orders/eu*"]), "/events?topic=orders*", "\"orders*\""),
        (json!(["orders"]), "/events?topic=orders*", "\"orders*\""),
        (json!(["orders*"]), "/events?topic=order", "\"order\""),
        (json!([]), "/events", "no topic"),
        (json!(null), "/events?topic=a", "no topic"),
    ] {
        let answer = subscribe(&node, path, &token(topics.clone())).await.0;
        assert_eq!(answer.status, 403, "{topics} {path}");
        assert!(answer.error().contains(refused), "{}", answer.error());
        assert!(answer.field("www-authenticate").unwrap().contains("error=\"insufficient_scope\""));
    }
}

#[tokio::test]
async fn a_token_is_found_where_the_manifest_says_and_nowhere_else() {
    let secrets = Secrets::new();
    secrets.write("jwt", "secret", SECRET);
    let with = |sources: Value| {
        json!({"jwt": {
            "keys": [{"secretRef": {"name": "jwt", "key": "secret"}}], "algorithms": ["HS256"], "tokenSources": sources,
        }})
    };
    let good = Issuer::shared(SECRET).token(&claims("ann"));
    let bearer = format!("Bearer {good}");
    let cookie = format!("theme=dark; session={good}");
    let header = get("/events", &[("Authorization", &bearer)]);
    let own = get("/events", &[("X-Token", &good)]);
    let query = get(&format!("/events?token={good}"), &[]);
    let by_cookie = get("/events", &[("Cookie", &cookie)]);
    let twice = get("/events", &[("Authorization", &bearer), ("Authorization", &bearer)]);
    let bad_before_good = get(&format!("/events?token={good}"), &[("Authorization", "Bearer x.y.z")]);
    let other_scheme = get(&format!("/events?token={good}"), &[("Authorization", "Basic eDp5")]);
    let everything = [&header, &own, &query, &by_cookie, &twice, &bad_before_good, &other_scheme];
    for (sources, statuses) in [
        (json!([{"header": "Authorization"}, {"query": "token"}]), [200, 401, 200, 401, 401, 401, 200]),
        (json!([{"query": "token"}]), [401, 401, 200, 401, 401, 200, 200]),
        (json!([{"cookie": "session"}, {"header": "X-Token"}]), [401, 200, 401, 200, 401, 401, 401]),
    ] {
        let node = node(&with(sources.clone()), &secrets).await;
        for (request, status) in everything.iter().zip(statuses) {
            assert_eq!(ask(node.public, request).await.status, status, "{sources} {request}");
            // Not the first request of its connection: by way of hyper.
            let mut later = Client::connect(node.public).await;
            later.ask(&get("/health", &[])).await;
            assert_eq!(later.ask(request).await.status, status, "{sources} {request}");
        }
    }
}

async fn by_http2(node: &Node, token: Option<&str>) -> (u16, Option<String>, Value) {
    let socket = TcpStream::connect(node.public).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::get("http://node/events");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    let body = if status == 200 {
        Value::Null
    } else {
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    };
    connection.abort();
    (status, challenge, body)
}

#[tokio::test]
async fn http_2_is_no_way_around() {
    let (_secrets, node) = node_with_a_secret().await;
    let (status, challenge, body) = by_http2(&node, None).await;
    assert_eq!((status, challenge.as_deref()), (401, Some("Bearer realm=\"ssefleet\"")));
    assert!(body["error"].as_str().unwrap().starts_with("a token is needed"), "{body}");
    let (status, challenge, body) = by_http2(&node, Some("a.b.c")).await;
    assert_eq!(status, 401);
    assert!(challenge.unwrap().contains("error=\"invalid_token\""), "{body}");
    assert_eq!(by_http2(&node, Some(&Issuer::shared(SECRET).token(&claims("ann")))).await.0, 200);
}

#[tokio::test]
async fn the_subject_is_known_and_the_token_is_not() {
    let (_secrets, node) = node_with_a_secret().await;
    let token = Issuer::shared(SECRET).token(&claims("ann"));
    let (answer, _stream) = subscribe(&node, "/events", &token).await;
    assert_eq!(answer.status, 200);
    let (_, connections) = node.get(node.admin, "/connections").await;
    let connections: Value = serde_json::from_str(&connections).unwrap();
    assert_eq!(connections["connections"][0]["subject"], "ann");
    assert!(!connections.to_string().contains(&token), "{connections}");
}

/// Each key that a manifest can name, made by openssl as its users do.
#[tokio::test]
async fn every_kind_of_public_key_works() {
    let secrets = Secrets::new();
    let folder = secrets.folder();
    for (name, algorithm, options) in [
        ("rsa", "RS256", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..]),
        ("ec", "ES256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("ed", "EdDSA", &["-algorithm", "ED25519"]),
    ] {
        let issuer = Issuer::openssl(&folder, name, options);
        secrets.write(name, "public.pem", std::fs::read(folder.join(format!("{name}.pub"))).unwrap());
        let auth = json!({"jwt": {
            "keys": [{"publicKeyRef": {"name": name, "key": "public.pem"}}],
            "algorithms": [algorithm, if name == "rsa" { "PS512" } else { "RS512" }],
        }});
        let node = node(&auth, &secrets).await;
        assert_eq!(subscribe(&node, "/events", &issuer.token(&claims("ann"))).await.0.status, 200, "{name}");
        if name == "rsa" {
            let pss = Issuer::rsa(&folder.join("rsa.pem"), &ring::signature::RSA_PSS_SHA512, "PS512");
            assert_eq!(subscribe(&node, "/events", &pss.token(&claims("ann"))).await.0.status, 200);
            let other = Issuer::rsa(&folder.join("rsa.pem"), &ring::signature::RSA_PSS_SHA256, "PS256");
            assert_eq!(subscribe(&node, "/events", &other.token(&claims("ann"))).await.0.status, 401);
        }
    }
}

#[tokio::test]
async fn without_auth_everyone_may_come() {
    let node = node(&json!({}), &Secrets::new()).await;
    assert_eq!(ask(node.public, &get("/events", &[])).await.status, 200);
    assert_eq!(subscribe(&node, "/events", "whatever").await.0.status, 200);
}
