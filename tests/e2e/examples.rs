//! Every manifest in `examples/` is applied.

use serde_json::json;
use ssefleet_tests::{
    cluster, manifest,
    stream::{REACTION, is},
};

#[tokio::test]
async fn the_memory_example_becomes_ready() {
    let cluster = cluster().await;
    let here = cluster.namespace("memory").await;
    here.apply(manifest::memory()).await.ready().await;
}

/// Through the ingress; what is in an envelope, `sse-node/tests/stream/envelope.rs` tries, with the example's script.
#[tokio::test]
async fn the_compressed_example_sends_envelopes() {
    let cluster = cluster().await;
    let here = cluster.namespace("compressed").await;
    let stream = here.apply(manifest::example("compressed")).await;
    stream.ready().await;
    let mut reader = stream.subscribe_at("/events").await;
    let large = "large ".repeat(1_000);
    stream.publisher().publish(&json!([{"data": "small"}, {"data": large}])).await.unwrap();
    assert_eq!(reader.next().await.event.data, r#"{"compressed":false,"data":"small"}"#);
    let packed = reader.next().await.event.data;
    assert!(packed.starts_with(r#"{"compressed":true,"data":"H4sI"#) && packed.len() < large.len() / 10, "{packed}");
}

/// Each way in by itself; what passes through them, `exposures/` tries. The certificate of `ingress` is never made, which
/// its controller survives.
#[tokio::test]
async fn the_examples_of_each_way_in_become_ready() {
    let cluster = cluster().await;
    let here = cluster.namespace("examples").await;
    for name in ["ingress", "gateway", "nginx-edge", "service"] {
        let mut example = manifest::example(name);
        example["metadata"]["name"] = json!(format!("{name}-example")); // all four are called alerts
        here.apply(example).await.ready().await;
    }
}

#[tokio::test]
async fn the_autoscaled_example_has_two_nodes_and_says_who_decides() {
    let cluster = cluster().await;
    let here = cluster.namespace("autoscaled").await;
    let stream = here.apply(manifest::example("autoscaled")).await;
    stream.ready().await;
    let is_on = |stream: &ssefleet_crds::SseStream| is(stream, "Autoscaling", "True");
    let stream = stream.until("autoscaling is on", REACTION, is_on).await;
    let decided = stream.status.unwrap_or_default().autoscaling.unwrap_or_default();
    assert_eq!(decided.desired_replicas, 2);
}

/// `quickstart` is what most tests apply; `external_redis.rs` has the one that needs a Redis, `edge/auth.rs`
/// the one that needs keys.
#[test]
fn no_example_is_without_a_test() {
    let tested = [
        "autoscaled",
        "compressed",
        "edge",
        "external-redis",
        "gateway",
        "ingress",
        "memory",
        "nginx-edge",
        "quickstart",
        "service",
    ];
    assert_eq!(manifest::examples(), tested, "a new example needs a test");
}
