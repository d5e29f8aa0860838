//! A stream on a Redis of somebody else's that Sentinels look after: its primary dies under publish. And what BrokerReady says
//! of a wrong name of the primary, or a wrong password of the Sentinels.

use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use ssefleet_crds::{SseStream, names};
use ssefleet_tests::{
    Must, cluster, manifest,
    publisher::per_second,
    stream::{STARTUP, condition, is},
};

use crate::replicated_redis::{all_ready, kill, nothing_lost, primary};

/// By the Sentinels of the stream `other`: all addresses of a name are asked.
fn external(master_name: &str, sentinels_secret: &str) -> Value {
    json!({
        "fleet": {"replicas": 2},
        "broker": {"redis": {
            "external": {
                "url": "redis://other-redis:26379/0",
                "topology": "Sentinel",
                "sentinel": {
                    "masterName": master_name,
                    "passwordSecretRef": {"name": sentinels_secret, "key": "password"},
                },
                "passwordSecretRef": {"name": "other-redis", "key": "password"},
            },
            "confirm": {"replicas": 1},
        }},
        "exposure": {"ingress": {"controller": "Traefik"}},
    })
}

#[tokio::test]
async fn a_failover_behind_external_sentinels_takes_nothing_acknowledged_with_it() {
    let cluster = cluster().await;
    let here = cluster.namespace("sentinels").await;
    // Another stream's Redis is as external as any.
    let replicated = json!({"fleet": {"replicas": 1}, "broker": {"redis": {"managed": {"topology": "Replicated"}}}});
    let other = here.apply(manifest::stream("other", &replicated)).await;
    other.ready().await;
    all_ready(&other, &[]).await;

    here.create_secret("guess", &[("password", "guessed")]).await;
    let stream = here.apply(manifest::stream("orders", &external("nobody", "other-redis"))).await;
    for (master_name, secret, reason, field) in [
        ("nobody", "other-redis", "SentinelFailed", "external.sentinel.masterName"),
        (names::PRIMARY, "guess", "AuthFailed", "external.sentinel.usernameSecretRef and passwordSecretRef"),
    ] {
        stream.edit_spec(external(master_name, secret)).await;
        let met = |stream: &SseStream| condition(stream, "BrokerReady").is_some_and(|c| c.reason == reason);
        let told = stream.until(&format!("BrokerReady is {reason}"), STARTUP, met).await;
        let message = &condition(&told, "BrokerReady").must("read the condition").message;
        assert!(message.contains(field), "{message}");
    }
    stream.edit_spec(external(names::PRIMARY, "other-redis")).await;
    let told = stream.ready().await;
    assert!(is(&told, "BrokerReady", "True"), "{:?}", told.status);

    let mut readers = stream.subscribe_to_each_node(2).await;
    let mut publishing = stream.publish_numbers(1..=1_000_000, per_second(20));
    publishing.more_acknowledged(100).await;
    let first = primary(&other).await;
    let old = other.api::<Pod>().get(&first).await.must("read the primary's pod");
    let began = Instant::now();
    kill(&other, &first).await;
    publishing.more_acknowledged(100).await;
    let published = publishing.stop().await;
    let name = "the primary killed behind external Sentinels (confirm 1), 20 events/s";
    nothing_lost(name, &mut readers, &published, began).await;
    all_ready(&other, &[old]).await;
    assert_ne!(primary(&other).await, first);
    let told = stream.ready().await;
    assert!(is(&told, "BrokerReady", "True"), "{:?}", told.status);
}
