//! The program `conformance` by itself: what it says of servers that are no good, and its exit codes.

use hyper::Method;
use serde_json::json;

use crate::{
    credentials,
    http::ask,
    relay::Relay,
    runner::run,
    servers::{
        certificate::Certificate,
        nginx::Nginx,
        node::{Extras, Node},
    },
};

#[tokio::test]
async fn without_a_publisher_what_needs_one_is_not_tested() {
    let node = Node::start(json!({"connections": {"heartbeatInterval": "1s"}})).await;
    let run = run(["--url", &node.url(), "--heartbeat", "5"]).await;
    assert_eq!(run.code, 0, "{}{}", run.printed, run.complaints);
    let result = |id: &str| run.findings.iter().find(|finding| finding.id == id).unwrap().result.clone();
    assert_eq!([result("status"), result("messages"), result("cors")], ["pass", "not tested", "not tested"]);
    assert!(run.printed.contains("| two data messages arrive, in order | not tested | needs --publish |"));
}

#[tokio::test]
async fn what_is_no_stream_and_what_is_no_url_are_told_apart() {
    let node = Node::start(json!({})).await;
    let no_stream = run(["--url", &format!("http://{}/health", node.public)]).await;
    assert_eq!(no_stream.code, 3);
    assert!(
        no_stream.complaints.contains("is no event stream: the answer is 200 text/plain"),
        "{}",
        no_stream.complaints
    );
    let no_url = run(["--url", "ftp://example.com/"]).await;
    assert_eq!(no_url.code, 2);
    assert!(no_url.complaints.contains("must begin with http:// or https://"), "{}", no_url.complaints);
}

#[tokio::test]
async fn a_stream_that_wants_a_token_is_asked_with_it_and_nobody_is_told_it() {
    let node = credentials::strict("https://app.example.com").await;
    let without = run(["--url", &node.url()]).await;
    assert_eq!(without.code, 3);
    assert!(without.complaints.contains("the answer is 401"), "{}", without.complaints);
    let token = credentials::token("conformance");
    let publish = format!("http://{}/publish", node.publish);
    let with = run(["--url", &node.url(), "--token", &token, "--publish", &publish, "--heartbeat", "5"]).await;
    assert_eq!(with.code, 0, "{}{}", with.printed, with.complaints);
    assert!(!with.printed.contains(&token) && !with.findings.iter().any(|finding| finding.detail.contains(&token)));
}

#[tokio::test]
async fn a_proxy_that_holds_events_back_is_found_out() {
    let node = Node::start(json!({"connections": {"heartbeatInterval": "1s"}})).await;
    // What nginx does by itself: HTTP/1.0 to the node, and a buffer of 4 KiB, or 8, to fill. Our node's word against it
    // is to be ignored.
    let ours = ["proxy_buffering off;", "proxy_http_version 1.1;"];
    let theirs = ["proxy_ignore_headers X-Accel-Buffering;", ""];
    let nginx =
        Nginx::changed(node.public, |config| config.replace(ours[0], theirs[0]).replace(ours[1], theirs[1])).await;
    let publish = format!("http://{}/publish", node.publish);
    let run = run(["--url", &nginx.url(), "--publish", &publish, "--heartbeat", "5"]).await;
    let failed: Vec<_> =
        run.findings.iter().filter(|finding| finding.result == "fail").map(|f| f.id.as_str()).collect();
    assert!(run.code == 3 || ["messages", "spacing", "gzip"].iter().all(|id| failed.contains(id)), "{}", run.printed);
}

#[tokio::test]
async fn a_stream_by_tls_is_asked_too() {
    let certificate = Certificate::make();
    let extras = Extras { arguments: certificate.arguments(), ..Extras::default() };
    let node = Node::start_with(json!({"connections": {"heartbeatInterval": "1s"}}), extras).await;
    let (url, publish) = (node.url().replace("http:", "https:"), format!("http://{}/publish", node.publish));
    let believing = certificate.file("certificate");
    let found = run(["--url", &url, "--publish", &publish, "--heartbeat", "5", "--ca", &believing]).await;
    assert_eq!(found.code, 0, "{}{}", found.printed, found.complaints);
    // Signed by nobody whom this machine knows.
    assert_eq!(run(["--url", &url]).await.code, 3);
}

#[tokio::test]
async fn our_nginx_configuration_tells_the_node_who_asks() {
    let node = Node::start(json!({})).await;
    let relay = Relay::to(node.public).await;
    let nginx = Nginx::before(relay.address).await;
    // Of HEAD, unlike of GET, there is an end.
    ask(nginx.address, Method::HEAD, "/events", &[("x-forwarded-for", "192.0.2.7")], String::new()).await.unwrap();
    let asked = relay.asks()[0].clone();
    assert!(asked.head.lines().next().unwrap().ends_with(" HTTP/1.1"), "{asked:?}");
    assert_eq!(asked.field("connection"), None);
    assert_eq!(asked.field("host"), Some("127.0.0.1"));
    assert_eq!(asked.field("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(asked.field("x-forwarded-for"), Some("192.0.2.7, 127.0.0.1"));
    assert_eq!(asked.field("x-forwarded-proto"), Some("http"));
}
