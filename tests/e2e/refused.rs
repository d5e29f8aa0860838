//! A manifest that cannot work is refused when it is applied, with a message that names the remedy.

use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use ssefleet_crds::SseStream;
use ssefleet_tests::{Must, cluster, helm::repository};

#[tokio::test]
async fn every_bad_spec_is_refused_by_the_api_server_with_its_remedy() {
    let cluster = cluster().await;
    let here = cluster.namespace("refused").await;
    let text = std::fs::read_to_string(repository().join("crds/tests/refused.yaml")).must("read the cases");
    let cases: Vec<Value> = serde_saphyr::from_str(&text).must("read the cases");
    assert!(cases.len() > 20);
    for case in cases {
        let metadata = case.get("metadata").cloned().unwrap_or_else(|| json!({"name": "quotes"}));
        let told = create(&cluster.access, &here.name, &metadata, &case["spec"]).await;
        let told = told.expect_err(&format!("{case} was taken"));
        assert!(told.contains(case["says"].as_str().unwrap_or("?")), "{case} was told: {told}");
    }
}

#[tokio::test]
async fn an_empty_spec_is_taken() {
    let cluster = cluster().await;
    let here = cluster.namespace("taken").await;
    create(&cluster.access, &here.name, &json!({"name": "quotes"}), &json!({})).await.must("create it");
}

/// Creates it without keeping it. A typed object could not say what is wrong, so it goes as plain JSON.
async fn create(
    access: &ssefleet_tests::cluster::Access,
    namespace: &str,
    metadata: &Value,
    spec: &Value,
) -> Result<(), String> {
    let streams: Api<kube::core::DynamicObject> =
        Api::namespaced_with(access.client.clone(), namespace, &kube::core::ApiResource::erase::<SseStream>(&()));
    let object = json!({
        "apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream", "metadata": metadata, "spec": spec,
    });
    let object = serde_json::from_value(object).must("write the object");
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    streams.create(&dry_run, &object).await.map(drop).map_err(|refused| refused.to_string())
}
