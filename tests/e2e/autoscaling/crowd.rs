//! Subscribers by the hundred, and how they are spread over the nodes, as these tell.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::iter};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use serde_json::Value;
use ssefleet_tests::{
    Must,
    dial::{Target, dial},
    sse::reader::Reader,
    stream::Stream,
};
use tokio::time::sleep;

/// So many subscribers more.
pub async fn crowd(stream: &Stream, count: usize) -> Vec<Reader> {
    iter(0..count).map(|_| stream.subscribe_at("/events")).buffer_unordered(20).collect().await
}

/// What the nodes' `/stats` tell, and one figure of their `/metrics`: by pod, the connections.
pub async fn spread(stream: &Stream, pods: &[String]) -> BTreeMap<String, u64> {
    let mut spread = BTreeMap::new();
    for pod in pods {
        let stats: Value = serde_json::from_str(&get(stream, pod, "/stats").await).must("read a node's stats");
        spread.insert(pod.clone(), stats["activeConnections"].as_u64().must("read a node's connections"));
    }
    spread
}

/// How many streams these nodes have ended for this reason.
pub async fn closed(stream: &Stream, pods: &[String], reason: &str) -> u64 {
    let sample = format!("ssefleet_node_connections_closed_total{{reason=\"{reason}\"}} ");
    let mut closed = 0;
    for pod in pods {
        let metrics = get(stream, pod, "/metrics").await;
        closed += metrics.lines().find_map(|line| line.strip_prefix(&sample)?.parse::<u64>().ok()).unwrap_or(0);
    }
    closed
}

async fn get(stream: &Stream, pod: &str, path: &str) -> String {
    let target = Target::Pod { namespace: stream.namespace.clone(), name: pod.into(), port: 9090 };
    let mut connection = dial(&stream.access, &target).await.must(format_args!("connect to {pod}"));
    let request = Request::get(path).header("host", "node").body(Full::<Bytes>::default()).must("ask");
    let response = connection.send_request(request).await.must(format_args!("ask {pod} for {path}"));
    let body = response.into_body().collect().await.must(format_args!("read {path} of {pod}")).to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

/// Looks until the spread is as it should be, or time is up; returns it. Nothing tells when it is.
pub async fn spread_until(
    stream: &Stream,
    pods: &[String],
    within: Duration,
    met: impl Fn(&BTreeMap<String, u64>) -> bool,
) -> BTreeMap<String, u64> {
    let begun = Instant::now();
    loop {
        let spread = spread(stream, pods).await;
        if met(&spread) {
            return spread;
        }
        assert!(begun.elapsed() < within, "the connections are spread badly after {within:?}: {spread:?}");
        sleep(Duration::from_millis(500)).await;
    }
}
