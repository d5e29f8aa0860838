//! The chart on a cluster: two operators, a leader that can be lost, a CRD that outlives the release.

use std::{fs, process::Command};

use k8s_openapi::{
    api::core::v1::Pod, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, api::DeleteParams};
use serde_json::{Value, json};
use ssefleet_tests::{
    Cluster, Must, cluster,
    helm::{chart, repository},
    manifest,
    operator::{Metrics, leader, operators},
    publisher::per_second,
    release,
    stream::{Child, STARTUP, is},
    wait,
};
use tempfile::TempDir;

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
    let mut cluster = cluster().await;
    let here = cluster.namespace("leader").await;
    let stream = here.apply(manifest::memory()).await;
    stream.ready().await;
    cluster.alone().await;
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
async fn streams_survive_an_uninstall_and_an_upgrade_from_the_chart_before_this_one() {
    let mut cluster = cluster().await;
    let here = cluster.namespace("uninstall").await;
    let exposed = json!({"exposure": {"ingress": {"controller": "Traefik"}}});
    let stream = here.apply(manifest::with(manifest::memory(), &exposed)).await;
    stream.ready().await;
    cluster.alone().await;
    let mut reader = stream.subscribe().await;
    let nodes = stream.nodes(1).await;
    let before = stream.children().await;

    release::uninstall().await.must("uninstall the release");
    assert!(crds(&cluster).get_opt(CRD).await.must("read the CRD").is_some(), "the CRD is gone");
    assert!(is(&stream.get().await, "Ready", "True"));
    let uids = |children: &[Child]| -> Vec<_> { children.iter().map(|child| child.uid.clone()).collect() };
    assert_eq!(uids(&stream.children().await), uids(&before), "children went with the release");

    let older = older_chart();
    release::install_older(&cluster.access, older.path()).await.must("install an older chart");
    wait::until(&crds(&cluster), CRD, "the CRD is the older one", STARTUP, |crd| !has_url_column(crd)).await;
    release::upgrade(&cluster.access, &chart()).await.must("upgrade to this chart");
    wait::until(&crds(&cluster), CRD, "the CRD is this one", STARTUP, has_url_column).await;
    operators(&cluster.access).await;
    leader(&cluster.access, |_| true).await;
    stream.ready().await;
    assert_eq!(stream.nodes(1).await, nodes, "a pod was replaced");
    assert_eq!(uids(&stream.children().await), uids(&before), "children were made again");
    stream.publish_numbers(1..=1, per_second(1)).all_acknowledged().await;
    reader.expect(1..=1).await;
    assert_eq!(reader.connections(), 1, "the subscriber was disconnected");

    stream.edit_spec(json!({"path": "/upgraded"})).await;
    stream.ready().await;
}

/// The chart as it was before the newest commit that touched it, and its CRD without the column URL, so that an upgrade
/// shows. Its operator is today's all the same: older images are not built here.
fn older_chart() -> TempDir {
    let folder = tempfile::tempdir().must("make a folder");
    let script = "
        newest=$(git log -1 --format=%H -- charts/ssefleet)
        git archive --format=tar \"$newest^\" charts/ssefleet | tar -x -C \"$1\" --strip-components=2";
    let mut take = Command::new("bash");
    take.args(["-euo", "pipefail", "-c", script, "older"]).arg(folder.path()).current_dir(repository());
    let taken = take.status().must("run git");
    assert!(taken.success(), "could not take an older chart from git: this test needs the repository's history");
    let path = folder.path().join("files/ssestreams.yaml");
    let text = fs::read_to_string(&path).must("read the CRD");
    let mut crd: Value = serde_saphyr::from_str(&text).must("parse the CRD");
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array_mut().must("find the columns");
    columns.retain(|column| column["name"] != "URL");
    fs::write(&path, crd.to_string()).must("write the CRD");
    folder
}

fn has_url_column(crd: Option<&CustomResourceDefinition>) -> bool {
    let columns = crd.and_then(|crd| crd.spec.versions[0].additional_printer_columns.as_deref()).unwrap_or_default();
    columns.iter().any(|column| column.name == "URL")
}

fn crds(cluster: &Cluster) -> Api<CustomResourceDefinition> {
    Api::all(cluster.access.client.clone())
}
