//! How often one may subscribe (row S5): what is answered, on every way in.

use std::{fs, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use ssefleet_tests::sse::parser::Parser;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    raw::{BROWSER, Client, alone, ask, memory, spec},
    support::{Node, eventually, stream},
};

/// S5: ten in fifteen minutes if nothing else is said.
#[tokio::test]
async fn ten_connects_in_fifteen_minutes_are_let_in_and_told_how_many_are_left() {
    let node = alone(&json!({"connect": {}}), json!({})).await;
    let mut clients = Vec::new();
    for left in (0..10).rev() {
        let client = ask(node.public, "").await;
        assert!(client.is_in());
        assert_eq!(client.number("ratelimit-remaining"), left);
        clients.push(client);
    }
    let reset = clients[0].field("ratelimit-reset");
    assert_eq!(reset, Some("900"));
    assert_eq!(
        clients[0].steady_head(),
        "HTTP/1.1 200 OK\n\
         content-type: text/event-stream\n\
         cache-control: no-cache, no-transform\n\
         x-accel-buffering: no\n\
         transfer-encoding: chunked\n\
         connection: close\n\
         x-sse-node: node-0\n\
         ratelimit-policy: 10;w=900\n\
         ratelimit-limit: 10\n\
         ratelimit-remaining: 9\n\
         ratelimit-reset: 900\n\
         \n"
    );

    let refused = ask(node.public, "").await;
    let reset = refused.number("ratelimit-reset");
    assert!((850..=900).contains(&reset), "{reset}");
    assert_eq!(
        refused.steady_head(),
        format!(
            "HTTP/1.1 429 Too Many Requests\n\
             content-type: application/problem+json\n\
             ratelimit-policy: 10;w=900\n\
             ratelimit-limit: 10\n\
             ratelimit-remaining: 0\n\
             ratelimit-reset: {reset}\n\
             retry-after: {reset}\n\
             content-length: 112\n\
             \n"
        )
    );
    assert!(!refused.head.to_ascii_lowercase().contains("x-ratelimit"));
    assert_eq!(
        refused.body().await,
        "{\"error\":\"too many connections; try again later\",\"status\":429,\"title\":\"Too Many Requests\",\"type\":\"about:blank\"}\n"
    );
    assert_eq!(node.metric("ssefleet_node_connections_refused_total{reason=\"rate_limited\"}").await, 1);
    assert_eq!(node.metric("ssefleet_node_limit_decisions_total{by=\"node\"}").await, 11);
    // Who is refused takes no place.
    assert_eq!(node.metric("ssefleet_node_connections").await, 10);
}

#[tokio::test]
async fn one_is_refused_as_the_limit_says_whatever_holds_for_a_full_node() {
    for (with, asked, status) in
        [("Auto", BROWSER, 200), ("Auto", "", 429), ("Status", BROWSER, 429), ("Retry", "", 200)]
    {
        let limits = json!({"connect": {"max": 1, "window": "1m", "message": "slower\ndata: x", "refuseWith": with}});
        let connections = |with: &str| json!({"connections": {"retry": "2s", "refuseWith": with}});
        let node = alone(&limits, connections(if with == "Status" { "Retry" } else { "Status" })).await;
        let _first = ask(node.public, asked).await;
        let refused = ask(node.public, asked).await;
        assert_eq!(refused.status(), status, "{with}");
        let reset = refused.number("ratelimit-reset");
        assert!((55..=60).contains(&reset), "{reset}");
        assert_eq!(refused.number("retry-after"), reset);
        assert_eq!(refused.field("ratelimit-policy"), Some("1;w=60"));
        assert_eq!(refused.number("ratelimit-remaining"), 0);
        if status == 200 {
            assert_eq!(refused.field("content-type"), Some("text/event-stream"));
            assert_eq!(refused.field("x-sse-connection"), None);
            let body = refused.body().await;
            let mut parser = Parser::new("z-1");
            assert!(parser.feed(body.as_bytes()).is_empty(), "{body}");
            // Not before it would be let in, and not all at once.
            let retry = parser.retry().unwrap();
            assert!((56_000..=63_000).contains(&retry), "{retry}");
            assert!(body.ends_with("\n: slower data: x\n\n"), "{body}");
        } else {
            assert!(refused.body().await.contains("\"error\":\"slower\\ndata: x\""));
        }
    }
}

#[tokio::test]
async fn a_browser_is_told_to_stay_away_for_some_minutes_at_most() {
    let node = alone(&json!({"connect": {"max": 1, "window": "24h"}}), json!({})).await;
    let _first = ask(node.public, BROWSER).await;
    let refused = ask(node.public, BROWSER).await;
    assert!(refused.number("retry-after") > 86_000);
    let mut parser = Parser::new("");
    parser.feed(refused.body().await.as_bytes());
    assert!((300_000..=305_000).contains(&parser.retry().unwrap()));
}

#[tokio::test]
async fn the_window_slides() {
    let node = alone(&json!({"connect": {"max": 2, "window": "1s"}}), json!({})).await;
    assert!(ask(node.public, "").await.is_in());
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(ask(node.public, "").await.is_in());
    let refused = ask(node.public, "").await;
    assert_eq!((refused.status(), refused.number("retry-after")), (429, 1));
    // The first has left the window by then, the second not.
    tokio::time::sleep(Duration::from_millis(410)).await;
    assert!(ask(node.public, "").await.is_in());
    assert_eq!(ask(node.public, "").await.status(), 429);
}

/// By the bare socket, by hyper on a connection that was used before, and by HTTP/2: they count together.
#[tokio::test]
async fn every_way_in_is_counted_and_answered_alike() {
    let node = alone(&json!({"connect": {"max": 3}}), json!({})).await;
    let _raw = ask(node.public, "").await;

    let mut used = TcpStream::connect(node.public).await.unwrap();
    used.write_all(b"HEAD /events HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        used.read_buf(&mut head).await.unwrap();
    }
    let by_hyper = Client::of(used, "").await;
    assert!(by_hyper.is_in(), "{}", by_hyper.head);
    assert_eq!(by_hyper.number("ratelimit-remaining"), 1);
    assert_eq!(by_hyper.field("ratelimit-policy"), Some("10;w=900".replace("10", "3").as_str()));

    let socket = TcpStream::connect(node.public).await.unwrap();
    let (mut http2, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = hyper::Request::get("http://node/events").body(()).unwrap();
        answers.push(http2.send_request(request, true).unwrap().0.await.unwrap());
    }
    assert_eq!(
        (answers[0].status().as_u16(), &answers[0].headers()["ratelimit-remaining"]),
        (200, &"0".parse().unwrap())
    );
    assert_eq!(answers[1].status().as_u16(), 429);
    for field in ["ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after"] {
        assert_eq!(answers[1].headers().get_all(field).iter().count(), 1, "{field}");
    }

    // And the others are refused now too; the connection can be used on.
    assert_eq!(ask(node.public, "").await.status(), 429);
    let socket = TcpStream::connect(node.public).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = Request::get("/events").header("host", "node").body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), 429);
        answer.into_body().collect().await.unwrap();
    }
    // Each of them once.
    assert_eq!(node.metric("ssefleet_node_connections_refused_total{reason=\"rate_limited\"}").await, 4);
}

/// What is refused for another reason was not counted.
#[tokio::test]
async fn only_those_who_are_let_in_are_counted() {
    let node =
        alone(&json!({"connect": {"max": 2}}), json!({"connections": {"maxPerPod": 1, "refuseWith": "Status"}})).await;
    let first = ask(node.public, "").await;
    assert_eq!(first.number("ratelimit-remaining"), 1);
    for _ in 0..5 {
        assert_eq!(ask(node.public, "").await.status(), 503);
    }
    drop(first);
    eventually("there is room", async || node.metric("ssefleet_node_connections").await == 0).await;
    assert!(ask(node.public, "").await.is_in());
    eventually("there is room", async || node.metric("ssefleet_node_connections").await == 0).await;
    assert_eq!(ask(node.public, "").await.status(), 429);
}

#[tokio::test]
async fn without_limits_nothing_is_said_of_any() {
    let node = alone(&Value::Null, json!({})).await;
    for _ in 0..30 {
        let client = ask(node.public, "").await;
        assert!(client.is_in() && !client.head.contains("ratelimit"), "{}", client.head);
    }
    assert_eq!(node.metric("ssefleet_node_limit_decisions_total{by=\"node\"}").await, 0);
}

#[tokio::test]
async fn limits_change_while_the_node_runs() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stream.yaml");
    let write = |limits: &Value| {
        let spec = spec(limits, json!({"broker": {"memory": {}}, "fleet": {"replicas": 1}}));
        let object = json!({"apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream", "metadata": {"name": "quotes"}, "spec": spec});
        fs::write(dir.path().join("new"), object.to_string()).unwrap();
        fs::rename(dir.path().join("new"), &file).unwrap();
        spec
    };
    let first = write(&json!({"connect": {"max": 1}}));
    let node = Node::start_from(file.clone(), stream(&first), memory()).await;
    assert!(ask(node.public, "").await.is_in());
    assert_eq!(ask(node.public, "").await.status(), 429);

    write(&json!({"connect": {"max": 3, "message": "three!"}}));
    eventually("there is more room", async || ask(node.public, "").await.is_in()).await;
    assert!(ask(node.public, "").await.is_in());
    let refused = ask(node.public, "").await;
    assert_eq!((refused.status(), refused.number("ratelimit-limit")), (429, 3));
    assert!(refused.body().await.contains("three!"));

    write(&Value::Null);
    eventually("there is no limit", async || ask(node.public, "").await.field("ratelimit-limit").is_none()).await;
}
