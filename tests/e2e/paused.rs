//! A stream that is paused is left as it is, and says so; resumed, it is put right.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service, events::v1::Event};
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use ssefleet_tests::{
    Must, cluster, manifest,
    stream::{REACTION, Stream, is},
    wait,
};

async fn pause(stream: &Stream, value: Value) {
    stream.edit(json!({"metadata": {"annotations": {"ssefleet.dev/paused": value}}})).await;
}

#[tokio::test]
async fn a_paused_stream_is_left_alone_and_a_resumed_one_repaired() {
    let cluster = cluster().await;
    let here = cluster.namespace("paused").await;
    let stream = here.apply(manifest::quickstart()).await;
    let before = stream.ready().await;
    pause(&stream, json!("true")).await;
    let streams = stream.api();
    let says = |paused: bool| {
        move |found: Option<&ssefleet_crds::SseStream>| found.is_some_and(|found| is(found, "Paused", "True") == paused)
    };
    wait::until(&streams, &stream.name, "it says that it is paused", REACTION, says(true)).await;

    // What is asked for, and what is broken, meanwhile.
    stream.edit_spec(json!({"fleet": {"replicas": 1}, "connections": {"maxPerPod": 7}})).await;
    let services = stream.api::<Service>();
    services.delete(&stream.name, &DeleteParams::default()).await.must("delete the Service");
    // A stream that is looked after shows that the operator has come by since.
    let other = here.apply(manifest::memory()).await;
    other.ready().await;
    let deployment = stream.api::<Deployment>().get(&stream.name).await.must("read the Deployment");
    assert_eq!(deployment.spec.and_then(|spec| spec.replicas), Some(2), "it was scaled");
    assert!(services.get_opt(&stream.name).await.must("read the Service").is_none(), "it was made again");
    let now = stream.get().await;
    let observed = now.status.as_ref().and_then(|status| status.observed_generation);
    assert_eq!(observed, before.metadata.generation, "the new spec was not acted on");

    pause(&stream, Value::Null).await;
    wait::until(&streams, &stream.name, "it is no longer paused", REACTION, says(false)).await;
    stream.ready().await;
    stream.nodes(1).await;
    wait::until(&services, &stream.name, "the Service is there again", REACTION, |found| found.is_some()).await;

    let events = stream.api::<Event>().list(&ListParams::default()).await.must("list events");
    let told: Vec<_> = events
        .iter()
        .filter(|event| event.regarding.as_ref().and_then(|regarding| regarding.name.as_ref()) == Some(&stream.name))
        .filter_map(|event| event.reason.clone())
        .collect();
    for reason in ["Paused", "Resumed"] {
        assert!(told.iter().any(|told| told == reason), "no event {reason} among {told:?}");
    }
}
