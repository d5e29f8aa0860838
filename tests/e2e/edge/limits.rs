//! Rate limits are the fleet's and not a node's, count by who is behind the proxies, and change in place.
//!
//! The ingress controller has to pass X-Forwarded-For on, as that of tests/cluster does: so one test is many clients.

use std::{collections::BTreeSet, time::Instant};

use serde_json::json;
use ssefleet_tests::{
    ask::{Answer, Ask},
    cluster, figures, manifest,
    stream::{REACTION, RELOAD, Stream},
};
use tokio::time::{Duration, sleep};

/// Where clusters have their pods and nodes: private addresses, and those of tests.
const INSIDE: [&str; 6] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "127.0.0.0/8"];

#[tokio::test]
async fn a_limit_counts_over_both_nodes_by_forwarded_address_and_changes_in_place() {
    let cluster = cluster().await;
    let here = cluster.namespace("limits").await;
    let connect = |max: u32| json!({"rateLimits": {"connect": {"max": max, "window": "10m", "message": "too often"}}});
    let limited = manifest::with(manifest::quickstart(), &json!({"rateLimits": {"trustedProxies": INSIDE}}));
    let stream = here.apply(manifest::with(limited, &connect(4))).await;
    stream.ready().await;
    let nodes = stream.nodes(2).await;
    both_nodes_are_reached(&stream).await;

    let mut pods = BTreeSet::new();
    for left in (0..4).rev() {
        let admitted = come(&stream, "203.0.113.7").await;
        assert_eq!((admitted.status, admitted.header("ratelimit-remaining")), (200, Some(left.to_string())));
        pods.insert(admitted.pod());
    }
    assert_eq!(pods.len(), 2, "the limit was counted on one node only");
    for _ in 0..2 {
        let refused = come(&stream, "203.0.113.7").await;
        assert_eq!((refused.status, refused.header("ratelimit-limit")), (429, Some("4".into())));
        assert_eq!(refused.header("ratelimit-remaining").as_deref(), Some("0"));
        for field in ["ratelimit-reset", "ratelimit-policy", "retry-after"] {
            assert!(refused.header(field).is_some(), "no {field} in {:?}", refused.headers);
        }
        assert!(refused.headers.keys().all(|name| !name.as_str().starts_with("x-ratelimit")), "{:?}", refused.headers);
        assert_eq!(refused.error().await, "too often");
    }
    // Another client is not concerned, and no one becomes another by what he says of himself.
    assert_eq!(come(&stream, "203.0.113.8").await.status, 200);
    assert_eq!(come(&stream, "198.51.100.1, 203.0.113.7").await.status, 429);

    let changed = Instant::now();
    stream.edit_spec(connect(100)).await;
    let is_let_in = |answer: &Answer| answer.status == 200;
    let answer = stream.ask_until(&client("203.0.113.7"), "the new limit holds", RELOAD, is_let_in).await;
    assert_eq!(answer.header("ratelimit-limit").as_deref(), Some("100"));
    figures::record("a changed limit holds after", &format!("{:.0} s", changed.elapsed().as_secs_f64()));
    assert_eq!(stream.nodes(2).await, nodes, "pods were replaced");
}

/// One more connection of the client at this address.
async fn come(stream: &Stream, address: &str) -> Answer {
    stream.ask(&client(address)).await
}

fn client(address: &str) -> Ask {
    Ask::get("/events").header("x-forwarded-for", address)
}

/// Waits until the ingress knows both nodes: each try is a client of its own.
async fn both_nodes_are_reached(stream: &Stream) {
    let begun = Instant::now();
    let mut pods = BTreeSet::new();
    for client in 1..=u8::MAX {
        pods.insert(come(stream, &format!("192.0.2.{client}")).await.pod());
        if pods.len() == 2 {
            return;
        }
        assert!(begun.elapsed() < REACTION, "only {pods:?} are reached");
        sleep(Duration::from_millis(100)).await;
    }
    panic!("only {pods:?} are reached");
}
