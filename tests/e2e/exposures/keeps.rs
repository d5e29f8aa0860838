//! While no node is ready, a browser is told by a stream to come back: one status other than 200 would end it for good.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use ssefleet_tests::{
    ask::{Answer, Ask},
    cluster, figures, manifest,
    namespace::Namespace,
    stream::{STARTUP, is},
};
use tokio::time::sleep;

use super::table::{Way, ways};

/// How long a controller may take to know of a new Ingress, and the retry pod to be ready.
const KNOWN: Duration = STARTUP;

/// No machine has room for its node. One that is there but not ready would not do: Envoy Gateway leads to it, and it answers
/// for itself.
fn without_nodes() -> Value {
    let spec = json!({
        "fleet": {"replicas": 1, "pod": {"resources": {"requests": {"memory": "1Ti"}, "limits": {"memory": "1Ti"}}}},
        "broker": {"memory": {}},
        "cors": {"allowedOrigins": ["https://app.example.com", "https://*.example.org"], "allowCredentials": true},
    });
    manifest::stream("lost", &spec)
}

/// As a page of another origin asks.
fn browser(origin: &str) -> Ask {
    Ask::get("/events").header("sec-fetch-mode", "cors").header("origin", origin)
}

#[tokio::test]
async fn while_no_node_is_ready_browsers_are_told_to_come_back() {
    let cluster = cluster().await;
    let ways: Vec<_> = ways(&cluster.access.settings).into_iter().filter(Way::has_a_proxy).collect();
    let prepared = ways.iter().map(async |way| (way, cluster.namespace(&format!("keep-{}", way.short)).await));
    let prepared = join_all(prepared).await;
    join_all(prepared.iter().map(|(way, here)| keeps(way, here))).await;
}

async fn keeps(way: &Way, here: &Namespace) {
    let stream = way.apply(here, without_nodes()).await;
    let told = stream.until("it is exposed and has no node", KNOWN, |stream| is(stream, "Exposed", "True")).await;
    assert!(is(&told, "Ready", "False"), "{}: {:?}", way.name, told.status);

    let begun = Instant::now();
    let answer = loop {
        let told = match stream.ask_once(&browser("https://app.example.com")).await {
            Ok(answer) if is_stream(&answer) => break answer,
            Ok(answer) => format!("{} of type {:?}", answer.status, answer.header("content-type")),
            Err(error) => error,
        };
        assert!(begun.elapsed() < KNOWN, "{}: a browser is told {told}", way.name);
        sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(
        answer.header("access-control-allow-origin").as_deref(),
        Some("https://app.example.com"),
        "{}",
        way.name
    );
    assert_eq!(answer.header("access-control-allow-credentials").as_deref(), Some("true"), "{}", way.name);
    assert_eq!(answer.pod(), "", "{}: a node answers", way.name);
    let text = answer.text().await;
    figures::record(&format!("{}: without a node a browser is told", way.name), &format!("{text:?}"));

    // From here on always, each in its own time; and no other origin may read it.
    let mut retries = Vec::new();
    for _ in 0..20 {
        let answer =
            stream.ask_once(&browser("https://a.example.org")).await.unwrap_or_else(|e| panic!("{}: {e}", way.name));
        assert!(is_stream(&answer), "{}: a browser is told {}", way.name, answer.status);
        assert_eq!(
            answer.header("access-control-allow-origin").as_deref(),
            Some("https://a.example.org"),
            "{}",
            way.name
        );
        retries.push(retry(&answer.text().await));
    }
    retries.sort_unstable();
    retries.dedup();
    assert!(retries.len() > 3, "{}: all are told to come back after {retries:?} ms", way.name);
    assert!(retries.iter().all(|retry| (1_400..=4_600).contains(retry)), "{}: {retries:?}", way.name);
    let other =
        stream.ask_once(&browser("https://evil.example.net")).await.unwrap_or_else(|e| panic!("{}: {e}", way.name));
    assert_eq!((other.status, other.header("access-control-allow-origin")), (200, None), "{}", way.name);
}

fn is_stream(answer: &Answer) -> bool {
    answer.status == 200 && answer.header("content-type").as_deref() == Some("text/event-stream")
}

/// In milliseconds, of a stream that says nothing else.
fn retry(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("retry: "));
    assert!(!text.contains("data:") && text.ends_with("\n\n"), "{text:?}");
    line.and_then(|milliseconds| milliseconds.parse().ok()).unwrap_or_else(|| panic!("no retry in {text:?}"))
}
