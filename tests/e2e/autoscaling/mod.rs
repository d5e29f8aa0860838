//! Autoscaling: as many nodes as the connections take, connections that move to nodes that were added, and nodes that
//! go, the emptiest first. Each mode, and `kubectl scale` in each.

mod by_cpu;
mod by_hand;
mod crowd;
mod hpa;
mod keda;
mod numbers_missing;
mod operator;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};
use ssefleet_tests::{
    Must, manifest,
    stream::{STARTUP, Stream},
    wait,
};

/// Behind the ingress, 100 connections a node, and windows of seconds instead of minutes.
fn scaled(more: &Value) -> Value {
    let spec = json!({
        "fleet": {"replicas": 1, "drain": {"timeout": "20s", "reconnectsPerSecond": 50}},
        "connections": {"retry": "1s"},
        "autoscaling": {
            "minReplicas": 1,
            "maxReplicas": 4,
            "targetConnectionsPerPod": 100,
            "scaleDown": {"stabilizationWindow": "20s", "period": "15s"},
        },
    });
    manifest::with(manifest::with(manifest::quickstart(), &spec), &json!({"autoscaling": more}))
}

/// Waits until so many nodes are wanted.
async fn wanted(stream: &Stream, count: i32) {
    let what = format!("{count} nodes are wanted");
    let met = |deployment: Option<&Deployment>| replicas(deployment) == Some(count);
    wait::until(&stream.api(), &stream.name, &what, STARTUP, met).await;
}

fn replicas(deployment: Option<&Deployment>) -> Option<i32> {
    deployment?.spec.as_ref()?.replicas
}

/// How many nodes are wanted now.
async fn now_wanted(stream: &Stream) -> i32 {
    let deployment = stream.api::<Deployment>().get(&stream.name).await.must("read the Deployment");
    replicas(Some(&deployment)).must("read its replicas")
}

/// `kubectl scale`.
async fn kubectl_scale(stream: &Stream, replicas: i32) {
    let patch = kube::api::Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let streams = stream.api::<ssefleet_crds::SseStream>();
    let scaled = streams.patch_scale(&stream.name, &kube::api::PatchParams::default(), &patch).await;
    // None at all is left out of the answer.
    assert_eq!(scaled.must("scale the stream").spec.and_then(|spec| spec.replicas).unwrap_or(0), replicas);
}
