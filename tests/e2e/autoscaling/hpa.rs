//! Mode Hpa with Kubernetes' own controller and the custom metrics API that the operator serves.

use std::time::Instant;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::json;
use ssefleet_tests::{
    Must, cluster,
    figures::record,
    helm::chart,
    release,
    stream::{STARTUP, condition, is},
    wait,
};

use super::{
    crowd::{crowd, spread_until},
    kubectl_scale, scaled, wanted,
};

#[tokio::test]
async fn a_plain_hpa_scales_on_connections_by_the_operators_own_metrics_api() {
    let mut cluster = cluster().await;
    let here = cluster.namespace("hpa").await;
    let stream = here.apply(scaled(&json!({"mode": "Hpa"}))).await;
    stream.nodes(1).await;
    // Without an API for its metric it says what is missing.
    let inactive = |stream: &ssefleet_crds::SseStream| {
        condition(stream, "Autoscaling").is_some_and(|told| told.message.contains("customMetrics.enabled"))
    };
    stream.until("the HPA has no numbers", STARTUP, inactive).await;

    cluster.alone().await; // new operators take over
    release::upgrade_with(&cluster.access, &chart(), &["customMetrics.enabled=true"]).await.must("switch it on");
    stream.until("the HPA has numbers", STARTUP, |stream| is(stream, "Autoscaling", "True")).await;
    cluster.share();

    let readers = crowd(&stream, 300).await;
    let begun = Instant::now();
    let pods = stream.nodes(3).await;
    let took = begun.elapsed().as_secs_f64();
    record(
        "autoscaling by HPA: 300 connections at a target of 100, from the last to 3 ready nodes",
        &format!("{took:.1} s"),
    );
    let even = |spread: &std::collections::BTreeMap<String, u64>| {
        spread.values().sum::<u64>() == 300 && spread.values().all(|has| *has <= 125)
    };
    let spread = spread_until(&stream, &pods, STARTUP, even).await;
    record(
        "autoscaling by HPA: connections a node after shedding",
        &format!("{:?}", spread.values().collect::<Vec<_>>()),
    );
    // The HPA writes what kubectl scale writes, and the operator follows.
    assert_eq!(stream.get().await.spec.fleet.replicas, 3);
    let hpa: HorizontalPodAutoscaler = stream.api().get(&stream.name).await.must("read the HPA");
    assert_eq!(hpa.status.map(|status| status.desired_replicas), Some(3));

    // By hand: it is done, and then the HPA has its way.
    kubectl_scale(&stream, 4).await;
    wanted(&stream, 4).await;
    wanted(&stream, 3).await;
    drop(readers);
    wanted(&stream, 1).await;
    let hpas = stream.api::<HorizontalPodAutoscaler>();
    stream.edit_spec(json!({"autoscaling": null})).await;
    wait::until_gone(&hpas, &stream.name, STARTUP).await;
}
