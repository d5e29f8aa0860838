//! A stream on a Redis that is there already: it waits for its Secret, and says so.

use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use ssefleet_tests::{
    Must, cluster, manifest,
    publisher::per_second,
    stream::{REACTION, condition, is},
};

#[tokio::test]
async fn a_missing_secret_is_named_and_its_arrival_is_enough() {
    let cluster = cluster().await;
    let here = cluster.namespace("external").await;
    // Another stream's Redis is as external as any.
    let other = here.apply(manifest::stream("other", &json!({"fleet": {"replicas": 1}}))).await;
    let external = json!({
        "fleet": {"replicas": 2},
        "broker": {"redis": {"external": {"url": "redis://other-redis:6379/0"}}},
        "exposure": {"ingress": {"controller": "Traefik"}},
    });
    let stream = here.apply(manifest::with(manifest::example("external-redis"), &external)).await;

    let waiting = |stream: &ssefleet_crds::SseStream| is(stream, "BrokerReady", "False");
    let told = stream.until("the broker is not ready, as its Secret is missing", REACTION, waiting).await;
    let message = &condition(&told, "BrokerReady").must("read the condition").message;
    assert!(message.contains("redis-login"), "the message should name the Secret: {message}");
    assert!(is(&told, "Ready", "False"), "{:?}", told.status);

    other.ready().await;
    let secret: Secret = here.access.api(&here.name).get("other-redis").await.must("read the other's password");
    let password = secret.data.and_then(|mut data| data.remove("password")).must("read the other's password");
    here.create_secret("redis-login", &[("password", &String::from_utf8_lossy(&password.0))]).await;
    stream.ready().await;

    let mut reader = stream.subscribe().await;
    stream.publish_numbers(1..=3, per_second(10)).all_acknowledged().await;
    reader.expect(1..=3).await;
}
