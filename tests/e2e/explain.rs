//! `kubectl explain`: every field says what it is for.

use std::process::Command;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use serde_json::Value;
use ssefleet_tests::{Must, cluster};

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
    // kubectl keeps for hours what it knows of a server, and looks short names up in that only.
    let cache = tempfile::tempdir().must("make a folder for kubectl's cache");
    let explained = |field: &str| {
        let mut kubectl = Command::new("kubectl");
        let output = kubectl.arg("--cache-dir").arg(cache.path()).args(["explain", field]).output();
        let output = output.must("run kubectl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(
        explained("sse.spec.broker").contains("every node serves the same log"),
        "{}",
        explained("sse.spec.broker")
    );
    assert!(explained("sse.spec.connections.retry").contains("Default 3s"));
}
