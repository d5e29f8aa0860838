//! `kubectl explain`: every field says what it is for.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use serde_json::Value;
use ssefleet_tests::{Must, cluster};

use crate::kubectl::kubectl;

#[tokio::test]
async fn every_field_of_the_crd_is_described() {
    let cluster = cluster().await;
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.access.client.clone());
    let crd = crds.get("ssestreams.ssefleet.dev").await.must("read the CRD");
    let crd = serde_json::to_value(crd).must("read the CRD");
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut fields = 0;
    for part in ["spec", "status"] {
        fields += described(&schema["properties"][part], part);
    }
    assert!(fields > 30, "only {fields} fields");
}

/// Walks the schema; returns how many fields there are.
fn described(schema: &Value, at: &str) -> usize {
    assert!(schema["description"].as_str().is_some_and(|text| text.len() > 5), "{at} has no description");
    let properties = schema["properties"].as_object().or_else(|| schema["items"]["properties"].as_object());
    1 + properties.into_iter().flatten().map(|(name, field)| described(field, &format!("{at}.{name}"))).sum::<usize>()
}

#[tokio::test]
async fn kubectl_explain_knows_the_short_name() {
    let _cluster = cluster().await;
    let explained = async |field: &str| {
        let said = kubectl(&["explain", field]).await.must("explain a field");
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let broker = explained("sse.spec.broker").await;
    assert!(broker.contains("every node serves the same log"), "{broker}");
    assert!(explained("sse.spec.connections.retry").await.contains("Default 3s"));
}
