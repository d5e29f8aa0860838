//! The edge reads a new configuration in place, and a change of the exposure touches no node.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Service},
};
use kube::ResourceExt;
use serde_json::json;
use ssefleet_crds::names::{self, Component};
use ssefleet_tests::{
    Must,
    ask::Ask,
    cluster,
    dial::Target,
    manifest,
    publisher::per_second,
    stream::{RELOAD, Stream},
};
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn an_edge_follows_a_new_path_without_ending_a_stream_and_goes_when_it_is_not_wanted() {
    let cluster = cluster().await;
    let here = cluster.namespace("edge").await;
    let exposure = json!({"exposure": {"edge": {"service": {"type": "ClusterIP"}}}});
    let stream = here.apply(manifest::with(manifest::memory(), &exposure)).await;
    let ready = stream.ready().await;
    let url = ready.status.and_then(|status| status.url);
    assert_eq!(url.as_deref(), Some(&*format!("http://ticker-edge.{}.svc/events", here.name)));
    let (nodes, edges) = (stream.nodes(1).await, edges(&stream).await);
    assert_eq!(edges.len(), 2, "{edges:?}");

    let edge = stream.through(Target::Service { namespace: here.name.clone(), name: names::edge(&stream.name) });
    let mut reader = edge.subscribe().await;
    stream.edit_spec(json!({"path": "/news"})).await;
    serves(&edge, "/news").await;
    stream.publish_numbers(1..=3, per_second(10)).all_acknowledged().await;
    reader.expect(1..=3).await;
    assert_eq!(reader.connections(), 1, "the stream was cut by the new configuration");
    assert_eq!(self::edges(&stream).await, edges, "edge pods were replaced");

    stream.edit_spec(json!({"exposure": {"edge": null, "service": {"type": "ClusterIP"}}})).await;
    stream.ready().await;
    let name = names::edge(&stream.name);
    stream.until_pruned::<Deployment>(&name).await;
    stream.until_pruned::<Service>(&name).await;
    stream.until_pruned::<ConfigMap>(&name).await;
    assert_eq!(stream.nodes(1).await, nodes, "a node was replaced by a change of its exposure");
}

/// Waits until the edge leads this path to a node. Nothing tells when it has read its files anew.
async fn serves(edge: &Stream, path: &str) {
    let begun = Instant::now();
    loop {
        let told = match edge.ask_once(&Ask::get(path)).await {
            Ok(answer) if !answer.pod().is_empty() => return,
            Ok(answer) => answer.status.to_string(),
            Err(error) => error,
        };
        assert!(begun.elapsed() < RELOAD, "after {RELOAD:?} the edge still answers {told}");
        sleep(Duration::from_millis(200)).await;
    }
}

async fn edges(stream: &Stream) -> Vec<String> {
    let pods = stream.api::<Pod>().list(&stream.selected(Component::Edge)).await.must("list the edge's pods");
    pods.iter().map(Pod::name_any).collect()
}
