//! Mode Operator, where the nodes' processors are the load.

use std::time::Instant;

use serde_json::json;
use ssefleet_tests::{cluster, figures::record, publisher::per_second};

use super::{crowd::crowd, scaled, wanted};

#[tokio::test]
async fn busy_processors_bring_a_node_and_idle_ones_take_it_away() {
    let cluster = cluster().await;
    let here = cluster.namespace("busy").await;
    // Of the 10 millicores that a node of these tests asks for.
    let by_cpu = json!({"targetConnectionsPerPod": 1000, "targetCpuPercent": 200, "maxReplicas": 2});
    let stream = here.apply(scaled(&by_cpu)).await;
    stream.ready().await;
    let readers = crowd(&stream, 60).await;
    let publishing = stream.publish_numbers(1..=1_000_000, per_second(60));
    let begun = Instant::now();
    wanted(&stream, 2).await; // which so few connections are no reason for
    record(
        "autoscaling: a load above the CPU target, until a node more is wanted",
        &format!("{:.0?}", begun.elapsed()),
    );
    publishing.stop().await;
    wanted(&stream, 1).await;
    drop(readers);
}
