//! A kind of somebody else's that is of an older release, and lacks a field: told like any refusal, with the field's name.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, api::PostParams};
use serde_json::json;
use ssefleet_crds::SseStream;
use ssefleet_tests::{Must, stream::condition, wait};

use crate::{arena::Arena, process::PATIENCE};

#[tokio::test]
async fn a_field_that_an_older_kind_lacks_is_told() {
    let arena = Arena::new("older").await;
    let schema = json!({"type": "object", "properties": {"spec": {
        "type": "object", "properties": {"scaleTargetRef": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
    }}});
    let crd = json!({
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh", "scope": "Namespaced",
            "names": {"kind": "ScaledObject", "plural": "scaledobjects", "singular": "scaledobject"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    let crds: Api<CustomResourceDefinition> = Api::all(arena.admin.clone());
    let crd = serde_json::from_value(crd).must("write a CRD");
    crds.create(&PostParams::default(), &crd).await.must("create a CRD");
    let established = |crd: Option<&CustomResourceDefinition>| {
        let conditions = crd.and_then(|crd| crd.status.as_ref()?.conditions.as_ref()).into_iter().flatten();
        conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
    };
    wait::until(&crds, "scaledobjects.keda.sh", "it is established", PATIENCE, established).await;

    let keda = json!({"mode": "Keda", "keda": {"prometheusAddress": "http://prometheus:9090"}});
    arena.apply(&json!({"autoscaling": keda})).await;
    let _operator = arena.operator();
    let told = |stream: Option<&SseStream>| {
        let degraded = stream.and_then(|stream| condition(stream, "Degraded"));
        degraded.is_some_and(|degraded| {
            degraded.reason == "ApplyRefused"
                && degraded.message.contains("ScaledObject")
                && degraded.message.contains("field not declared in schema")
        })
    };
    wait::until(&arena.api(), "quotes", "Degraded names the field", PATIENCE, told).await;
}
