//! The chart on a cluster: two operators, a leader that can be lost, a CRD that outlives the release.

use k8s_openapi::{
    api::core::v1::Pod, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use ssefleet_tests::{
    Cluster, Must, cluster, cluster_alone, manifest,
    operator::{Metrics, leader, operators},
    release,
    stream::{STARTUP, is},
    wait,
};

const CRD: &str = "ssestreams.ssefleet.dev";

#[tokio::test]
async fn helm_install_brings_two_operators_of_which_one_leads() {
    let cluster = cluster().await;
    let pods = operators(&cluster.access).await;
    let leader = leader(&cluster.access, |holder| pods.iter().any(|pod| pod == holder)).await;
    for pod in &pods {
        let leads = Metrics::of(&cluster.access, pod).await.sum("ssefleet_operator_leader");
        assert_eq!(leads, Some(f64::from(u8::from(*pod == leader))), "ssefleet_operator_leader of {pod}");
    }
}

#[tokio::test]
async fn when_the_leader_is_killed_the_other_operator_takes_over() {
    let cluster = cluster_alone().await;
    let here = cluster.namespace("leader").await;
    let stream = here.apply(manifest::memory()).await;
    stream.ready().await;
    let pods = operators(&cluster.access).await;
    let first = leader(&cluster.access, |holder| pods.iter().any(|pod| pod == holder)).await;

    let api: Api<Pod> = cluster.access.api(release::NAMESPACE);
    let at_once = DeleteParams::default().grace_period(0);
    api.delete(&first, &at_once).await.must("kill the leader");
    stream.edit_spec(json!({"path": "/after"})).await;

    leader(&cluster.access, |holder| holder != first).await;
    stream.ready().await;
    operators(&cluster.access).await;
}

#[tokio::test]
async fn the_crd_and_the_streams_survive_an_uninstall_and_the_crd_is_upgraded() {
    let cluster = cluster_alone().await;
    let here = cluster.namespace("uninstall").await;
    let stream = here.apply(manifest::memory()).await;
    stream.ready().await;
    let before = stream.children().await;

    release::uninstall().await.must("uninstall the release");
    assert!(crds(&cluster).get_opt(CRD).await.must("read the CRD").is_some(), "the CRD is gone");
    assert!(is(&stream.get().await, "Ready", "True"));
    let uids =
        |children: &[ssefleet_tests::stream::Child]| -> Vec<_> { children.iter().map(|c| c.uid.clone()).collect() };
    assert_eq!(uids(&stream.children().await), uids(&before), "children went with the release");

    // As if the CRD had been left by an older version, which had one field less.
    let older = json!([{"op": "remove", "path": format!("{SCHEMA}/properties/path")}]);
    let older: Patch<()> = Patch::Json(serde_json::from_value(older).must("write a patch"));
    crds(&cluster).patch(CRD, &PatchParams::default(), &older).await.must("take a field from the CRD");

    release::upgrade(&cluster.access).await.must("install the release again");
    let upgraded = "the CRD has the field again";
    wait::until(&crds(&cluster), CRD, upgraded, STARTUP, |crd| crd.is_some_and(has_path)).await;
    stream.edit_spec(json!({"path": "/upgraded"})).await;
    stream.ready().await;
}

const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

fn crds(cluster: &Cluster) -> Api<CustomResourceDefinition> {
    Api::all(cluster.access.client.clone())
}

fn has_path(crd: &CustomResourceDefinition) -> bool {
    let crd = serde_json::to_value(crd).must(format_args!("read {}", crd.name_any()));
    crd.pointer(SCHEMA).is_some_and(|spec| spec["properties"]["path"].is_object())
}
