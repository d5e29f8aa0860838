//! Mode Operator, where the nodes' processors are the load.

use serde_json::json;
use ssefleet_tests::{
    cluster,
    figures::record,
    publisher::per_second,
    stream::{STARTUP, condition},
};

use super::{crowd::crowd, scaled, wanted};

#[tokio::test]
async fn busy_processors_bring_a_node_and_idle_ones_take_it_away() {
    let cluster = cluster().await;
    let here = cluster.namespace("busy").await;
    // Of the 10 millicores that a node of these tests asks for.
    let by_cpu = json!({"targetConnectionsPerPod": 10_000, "targetCpuPercent": 200, "maxReplicas": 2});
    let stream = here.apply(scaled(&by_cpu)).await;
    stream.ready().await;
    let readers = crowd(&stream, 60).await;
    let publishing = stream.publish_numbers(1..=1_000_000, per_second(60));
    let two = |stream: &ssefleet_crds::SseStream| {
        stream
            .status
            .as_ref()
            .and_then(|status| status.autoscaling.as_ref())
            .is_some_and(|told| told.desired_replicas == 2)
    };
    let told = stream.until("the processors ask for one more", STARTUP, two).await;
    let why = condition(&told, "Autoscaling").map(|told| told.message.clone()).unwrap_or_default();
    assert!(why.contains("cores in use, target 0.02 a node"), "{why}");
    stream.nodes(2).await;
    record("autoscaling: 60 subscribers, 60 events/s, a target of 20 millicores", &why);
    publishing.stop().await;
    wanted(&stream, 1).await;
    drop(readers);
}
