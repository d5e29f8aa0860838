//! `kubectl scale` with autoscaling in mode Operator: a number within the bounds is what is begun with anew.

use serde_json::json;
use ssefleet_tests::{cluster, stream::REACTION};

use super::{kubectl_scale, now_wanted, scaled, wanted};

#[tokio::test]
async fn kubectl_scale_sets_what_autoscaling_goes_on_from() {
    let cluster = cluster().await;
    let here = cluster.namespace("by-hand").await;
    let stream = here.apply(scaled(&json!({"maxReplicas": 3}))).await;
    stream.ready().await;
    assert_eq!(now_wanted(&stream).await, 1);

    kubectl_scale(&stream, 9).await;
    wanted(&stream, 3).await; // as many as the bounds allow, and then as the load asks for
    wanted(&stream, 2).await;
    wanted(&stream, 1).await;
    // What was set stays: a tool that applies it again and again changes nothing.
    assert_eq!(stream.get().await.spec.fleet.replicas, 9);

    kubectl_scale(&stream, 0).await;
    wanted(&stream, 0).await;
    let suspended = |stream: &ssefleet_crds::SseStream| {
        ssefleet_tests::stream::condition(stream, "Autoscaling").is_some_and(|told| told.reason == "Suspended")
    };
    stream.until("autoscaling is suspended", REACTION, suspended).await;
    kubectl_scale(&stream, 2).await;
    wanted(&stream, 2).await;
}
