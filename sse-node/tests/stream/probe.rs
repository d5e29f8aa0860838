//! Probes of the operator: what they get, who gets none, and that they count as nobody.

use std::{fs, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming};
use ring::hmac;
use serde_json::{Value, json};
use sse_node::{
    Setup, Stop,
    broker::{Retention, memory::Memory},
};
use ssefleet_crds::probe::{Comment, FIELD, Pass, Script};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{Node, eventually, send, setup, stream};

const SCRIPT: Script = Script { comments: 5, silence: Duration::ZERO };

async fn node(spec: Value) -> (Node, TempDir) {
    let mut whole = json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let secrets = tempfile::tempdir().unwrap();
    fs::create_dir(secrets.path().join("quotes-admin")).unwrap();
    fs::write(secrets.path().join("quotes-admin/token"), "new\nold\n").unwrap();
    let setup = Setup {
        secrets: secrets.path().into(),
        ..setup(stream(&whole), Arc::new(Memory::new(Retention::of_events(10))))
    };
    (Node::start_as(setup).await, secrets)
}

/// A pass that was made so many seconds ago, or is to be made.
fn pass(token: &str, stream: &str, script: Script, ago: i64) -> String {
    let made = u64::try_from(jiff::Timestamp::now().as_second() - ago).unwrap();
    let pass = Pass { script, made };
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    pass.signed(hmac::sign(&key, pass.claim("default", stream).as_bytes()).as_ref())
}

async fn ask(node: &Node, pass: &str) -> Response<Incoming> {
    let request = Request::get("/events").header("host", "node").header(FIELD, pass);
    send(node.public, request.body(Full::default()).unwrap()).await
}

async fn lines(response: Response<Incoming>) -> Vec<String> {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_probe_gets_what_a_subscriber_gets_and_comments_apart() {
    let (node, _secrets) = node(json!({})).await;
    let subscribed = node.subscribe("/events").await.response.headers;
    let begun = Instant::now();
    let response = ask(&node, &pass("old", "quotes", SCRIPT, 0)).await;
    assert_eq!(response.status(), 200);
    for name in ["content-type", "cache-control", "x-accel-buffering", "transfer-encoding", "x-sse-node"] {
        assert_eq!(response.headers().get(name), subscribed.get(name), "{name}");
        assert!(subscribed.contains_key(name), "{name}");
    }
    let lines = lines(response).await;
    let sent: Vec<_> = lines.iter().map(|line| line.parse::<Comment>().unwrap()).collect();
    let [Comment::Sent { number: 1, at: first }, .., Comment::Sent { number: 5, at: last }, Comment::End] = sent[..]
    else {
        panic!("{lines:?}")
    };
    assert!((400..2000).contains(&(last - first)) && begun.elapsed() >= Duration::from_millis(400), "{lines:?}");
}

#[tokio::test]
async fn the_silence_has_the_streams_own_heartbeats() {
    let (node, _secrets) = node(json!({"connections": {"heartbeatInterval": "1s"}})).await;
    let script = Script { comments: 1, silence: Duration::from_secs(3) };
    let begun = Instant::now();
    let lines = lines(ask(&node, &pass("new", "quotes", script, 0)).await).await;
    assert_eq!(lines[1..], [": probe waits", ": probe waits", ": probe end"]);
    assert!(begun.elapsed() >= Duration::from_secs(3));
}

#[tokio::test]
async fn a_probe_needs_a_pass_of_this_stream_and_time_and_nothing_else() {
    // No one could subscribe here: there is no token, and no room.
    let auth = json!({"jwt": {"keys": [{"secretRef": {"name": "none", "key": "none"}}], "algorithms": ["HS256"]}});
    let limits = json!({"connect": {"max": 1}});
    let (node, secrets) = node(json!({"auth": auth, "rateLimits": limits, "connections": {"maxPerPod": 1}})).await;
    let refused = async |pass: String| {
        let response = ask(&node, &pass).await;
        assert_eq!(
            (response.status().as_u16(), response.headers()[FIELD].to_str().unwrap()),
            (403, "refused"),
            "{pass}"
        );
    };
    refused(String::new()).await;
    refused("new".into()).await;
    refused(pass("other", "quotes", SCRIPT, 0)).await;
    refused(pass("", "quotes", SCRIPT, 0)).await;
    refused(pass("new", "another", SCRIPT, 0)).await;
    refused(pass("new", "quotes", SCRIPT, 125)).await;
    refused(pass("new", "quotes", SCRIPT, -125)).await;
    refused(pass("new", "quotes", Script { comments: 51, ..SCRIPT }, 0)).await;
    let longer = pass("new", "quotes", SCRIPT, 0).replacen(".5.", ".50.", 1);
    refused(longer).await;
    for _ in 0..3 {
        assert_eq!(ask(&node, &pass("new", "quotes", SCRIPT, 100)).await.status(), 200);
    }
    // A token that is taken out is good no more, without a restart.
    fs::write(secrets.path().join("quotes-admin/token"), "newer\n").unwrap();
    refused(pass("new", "quotes", SCRIPT, 0)).await;
    fs::remove_file(secrets.path().join("quotes-admin/token")).unwrap();
    refused(pass("newer", "quotes", SCRIPT, 0)).await;
    assert_eq!(node.metric("ssefleet_node_probes_total{outcome=\"refused\"}").await, 11);
}

#[tokio::test]
async fn probes_are_few_and_count_as_no_connections() {
    let (node, _secrets) = node(json!({})).await;
    let long = Script { comments: 1, silence: Duration::from_mins(1) };
    let mut open = Vec::new();
    for _ in 0..4 {
        let response = ask(&node, &pass("new", "quotes", long, 0)).await;
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    let busy = ask(&node, &pass("new", "quotes", long, 0)).await;
    assert_eq!((busy.status().as_u16(), busy.headers()[FIELD].to_str().unwrap()), (429, "busy"));
    for name in ["connections", "connections_opened_total", "bytes_sent_total"] {
        assert_eq!(node.metric(&format!("ssefleet_node_{name}")).await, 0, "{name}");
    }
    // One that goes away makes room.
    open.pop();
    let again = async || ask(&node, &pass("new", "quotes", SCRIPT, 0)).await.status() == 200;
    eventually("there is room again", again).await;
}

#[tokio::test]
async fn a_node_that_is_to_stop_does_not_wait_for_a_probe() {
    let (mut node, _secrets) = node(json!({"fleet": {"replicas": 1, "drain": {"timeout": "30s"}}})).await;
    let long = Script { comments: 1, silence: Duration::from_mins(1) };
    let response = ask(&node, &pass("new", "quotes", long, 0)).await;
    node.stop(Stop::Interrupted);
    assert_eq!(lines(response).await.last().unwrap(), ": probe stopped");
    node.stopped().await;
}
