//! Where nothing changes, nothing is written.

use std::time::Duration;

use kube::ResourceExt;
use serde_json::json;
use ssefleet_tests::{
    Cluster, Must, cluster, manifest,
    operator::{Metrics, operators},
    stream::Stream,
};
use tokio::time::sleep;

#[tokio::test]
async fn a_steady_minute_makes_no_api_write() {
    let mut cluster = cluster().await;
    let here = cluster.namespace("steady").await;
    let streams = [
        here.apply(manifest::quickstart()).await,
        here.apply(manifest::memory()).await,
        here.apply(manifest::stream(
            "plain",
            &json!({"broker": {"redis": {"external": {"url": "redis://nowhere:6379"}}}}),
        ))
        .await,
    ];
    for stream in &streams[..2] {
        stream.ready().await;
    }
    streams[0].verified().await; // which is told half a minute later, once
    cluster.alone().await;
    let before = steady(&cluster, &streams).await;
    sleep(Duration::from_mins(1)).await; // the minute itself
    assert_eq!(observe(&cluster, &streams).await, before);
}

/// What the operators have written, and the versions of everything that they could have written.
type Observed = (Vec<(String, String)>, Vec<String>);

/// Waits until a few seconds have brought no change, as after a rollout its last effects come in one by one.
async fn steady(cluster: &Cluster, streams: &[Stream]) -> Observed {
    let mut last = observe(cluster, streams).await;
    for _ in 0..20 {
        sleep(Duration::from_secs(3)).await;
        let now = observe(cluster, streams).await;
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("a minute after they were ready, the streams are still being written: {last:?}");
}

async fn observe(cluster: &Cluster, streams: &[Stream]) -> Observed {
    let mut writes = Vec::new();
    for pod in operators(&cluster.access).await {
        let count = Metrics::of(&cluster.access, &pod).await.sum("ssefleet_operator_api_writes_total");
        writes.push((pod, format!("{} writes", count.unwrap_or_default())));
    }
    assert!(writes.iter().any(|(_, count)| count != "0 writes"), "the operators count no writes at all");
    let mut versions = Vec::new();
    for stream in streams {
        let version = stream.get().await.resource_version().must("read the stream's version");
        versions.push(format!("{} at {version}", stream.name));
        let children = stream.children().await;
        versions.extend(children.into_iter().map(|child| format!("{} at {}", child.id, child.resource_version)));
    }
    (writes, versions)
}
