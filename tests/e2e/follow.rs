//! A stream is edited: its children follow, and what it no longer needs is gone.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Secret, Service},
    networking::v1::Ingress,
};
use serde_json::json;
use ssefleet_tests::{
    ask::Ask,
    cluster, manifest,
    publisher::per_second,
    stream::{REACTION, RELOAD, is},
};

#[tokio::test]
async fn replicas_path_and_exposure_are_followed() {
    let cluster = cluster().await;
    let here = cluster.namespace("follow").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;

    stream.edit_spec(json!({"fleet": {"replicas": 3}})).await;
    stream.nodes(3).await;
    assert_eq!(stream.ready().await.status.unwrap_or_default().ready_replicas, 3);
    stream.edit_spec(json!({"fleet": {"replicas": 1}})).await;
    let node = stream.nodes(1).await;
    stream.ready().await;

    stream.edit_spec(json!({"path": "/live"})).await;
    let url = stream.ready().await.status.unwrap_or_default().url;
    assert!(url.as_deref().is_some_and(|url| url.ends_with("/live")), "{url:?}");
    let live = Ask::get("/live");
    stream.ask_until(&live, "the node serves the new path", RELOAD, |answer| answer.status == 200).await;
    assert_eq!(stream.nodes(1).await, node, "the pod was replaced");
    let mut reader = stream.subscribe_at("/live?topic=number").await;
    stream.publish_numbers(1..=1, per_second(1)).all_acknowledged().await;
    reader.expect(1..=1).await;

    stream.edit_spec(json!({"exposure": null})).await;
    stream.until_pruned::<Ingress>(&stream.name).await;
    let ready = stream.ready().await;
    assert!(!is(&ready, "Exposed", "True"), "Exposed is still True: {:?}", ready.status);
}

#[tokio::test]
async fn the_scale_subresource_sets_the_replicas() {
    let cluster = cluster().await;
    let here = cluster.namespace("scale").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    let streams = stream.api::<ssefleet_crds::SseStream>();
    let patch = kube::api::Patch::Merge(json!({"spec": {"replicas": 1}}));
    let scaled = streams.patch_scale(&stream.name, &kube::api::PatchParams::default(), &patch).await.unwrap();
    assert_eq!(scaled.spec.and_then(|spec| spec.replicas), Some(1));
    stream.nodes(1).await;
}

#[tokio::test]
async fn a_change_of_the_broker_prunes_the_managed_redis_and_makes_it_again() {
    let cluster = cluster().await;
    let here = cluster.namespace("broker").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    let published = stream.publish_numbers(1..=2, per_second(10)).all_acknowledged().await;
    let first_id = published.0[0].outcome.clone().unwrap();

    stream.edit_spec(json!({"fleet": {"replicas": 1}, "broker": {"memory": {}, "redis": null}})).await;
    let redis = format!("{}-redis", stream.name);
    stream.until_pruned::<StatefulSet>(&redis).await;
    stream.until_pruned::<Service>(&redis).await;
    stream.until_pruned::<Secret>(&redis).await;
    stream.until_pruned::<ConfigMap>(&redis).await;
    stream.ready().await;
    // The volume is the stream's: its events are there again when Redis is.
    let left: Vec<_> =
        stream.children().await.into_iter().map(|child| child.id).filter(|id| id.contains("redis")).collect();
    assert_eq!(left, [format!("PersistentVolumeClaim/data-{redis}-0")]);

    stream.edit_spec(json!({"fleet": {"replicas": 2}, "broker": {"memory": null, "redis": {"managed": {}}}})).await;
    stream.ready().await;
    stream.until("the broker is ready", REACTION, |stream| is(stream, "BrokerReady", "True")).await;
    // A node of the memory broker that is still draining would call the id one of another log, and rightly so.
    stream.nodes(2).await;
    let mut reader = stream.subscribe_at(&format!("/events?topic=number&lastEventId={first_id}")).await;
    stream.publish_numbers(3..=3, per_second(1)).all_acknowledged().await;
    reader.expect(2..=3).await;
}
