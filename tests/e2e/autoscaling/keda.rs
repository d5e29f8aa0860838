//! Mode Keda: what is missing is told, and a ScaledObject is made as soon as the cluster knows the kind. KEDA itself is
//! not here; its CRD is, as far as the API server looks at it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, PostParams},
};
use serde_json::json;
use ssefleet_tests::{
    Must, cluster,
    stream::{REACTION, STARTUP, condition, is},
    wait,
};

use super::scaled;

const CRD: &str = "scaledobjects.keda.sh";

#[tokio::test]
async fn a_scaled_object_is_made_where_keda_is_and_goes_with_the_mode() {
    let cluster = cluster().await;
    let here = cluster.namespace("keda").await;
    let keda = json!({"mode": "Keda", "keda": {"prometheusAddress": "http://prometheus.monitoring:9090"}});
    let stream = here.apply(scaled(&keda)).await;
    let missing = |stream: &ssefleet_crds::SseStream| {
        condition(stream, "Autoscaling").is_some_and(|told| told.status == "False" && told.reason == "KindMissing")
    };
    stream.until("KEDA is missing", REACTION, missing).await;

    let crds: Api<CustomResourceDefinition> = Api::all(cluster.access.client.clone());
    let crd = json!({
        "metadata": {"name": CRD},
        "spec": {
            "group": "keda.sh",
            "names": {"kind": "ScaledObject", "plural": "scaledobjects", "singular": "scaledobject"},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    let crd = serde_json::from_value(crd).must("write the CRD");
    crds.create(&PostParams::default(), &crd).await.must("create KEDA's CRD");
    stream.until("there is a ScaledObject", STARTUP, |stream| is(stream, "Autoscaling", "True")).await;
    let resource = ApiResource {
        group: "keda.sh".into(),
        version: "v1alpha1".into(),
        api_version: "keda.sh/v1alpha1".into(),
        kind: "ScaledObject".into(),
        plural: "scaledobjects".into(),
    };
    let objects = Api::<DynamicObject>::namespaced_with(cluster.access.client.clone(), &here.name, &resource);
    let made = objects.get(&stream.name).await.must("read the ScaledObject");
    assert_eq!(made.data["spec"]["scaleTargetRef"]["kind"], "SseStream");

    stream.edit_spec(json!({"autoscaling": {"mode": "Operator", "keda": null}})).await;
    let gone = |stream: &ssefleet_crds::SseStream| {
        condition(stream, "Autoscaling").is_some_and(|told| told.reason != "ScaledObjectApplied")
    };
    stream.until("the operator decides", REACTION, gone).await;
    assert!(objects.get_opt(&stream.name).await.must("look for the ScaledObject").is_none(), "it is still there");
    crds.delete(CRD, &DeleteParams::default()).await.must("delete KEDA's CRD");
    wait::until_gone(&crds, CRD, STARTUP).await;
}
