//! `kubectl drain` empties a host of the cluster: nodes, and Redis, go one at a time, as their PodDisruptionBudgets have it.
//! Whoever was connected to a node goes on elsewhere.

use std::{cell::Cell, process, time::Instant};

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use ssefleet_crds::names::Component;
use ssefleet_tests::{
    Must, cluster, dial, figures, manifest,
    publisher::per_second,
    stream::{STARTUP, Stream},
    wait,
};

use crate::{
    kubectl::kubectl,
    replicated_redis::{all_ready, nothing_lost},
};

/// A host that takes no pods, until this is dropped: by a test that fails, too.
struct Cordoned<'a>(&'a str);

impl Drop for Cordoned<'_> {
    fn drop(&mut self) {
        let told = process::Command::new("kubectl").args(["uncordon", self.0]).status();
        if !told.is_ok_and(|status| status.success()) {
            eprintln!("host {} is left cordoned", self.0);
        }
    }
}

fn host(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

/// The hosts of so many pods.
async fn hosts(stream: &Stream, component: Component, count: usize) -> Vec<String> {
    let met = |pods: &[Pod]| pods.len() == count && pods.iter().all(dial::is_ready);
    let what = format!("{count} pods are ready");
    let pods = wait::until_list(&stream.api(), stream.selected(component), &what, STARTUP, met).await;
    pods.iter().map(|pod| host(pod).to_owned()).collect()
}

/// Empties a host of the stream's pods. What kubectl said, and how many pods were ready when there were fewest.
async fn drain(stream: &Stream, component: Component, count: usize, from: &str) -> (String, usize) {
    let fewest = Cell::new(usize::MAX);
    let moved = |pods: &[Pod]| {
        let ready = pods.iter().filter(|pod| dial::is_ready(pod)).count();
        fewest.set(fewest.get().min(ready));
        pods.len() == count && ready == count && pods.iter().all(|pod| host(pod) != from)
    };
    let selected = stream.selected(component);
    let labels = selected.label_selector.clone().must("select the pods");
    let (pods, what) = (stream.api(), format!("all {count} pods are ready on another host than {from}"));
    let moving = wait::until_list(&pods, selected, &what, STARTUP, moved);
    // The host serves others' pods too, so only this stream's are asked to go.
    let arguments =
        ["drain", from, "--pod-selector", &labels, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=2m"];
    let _cordoned = Cordoned(from);
    let (drained, _) = tokio::join!(kubectl(&arguments), moving);
    (drained.must(format_args!("drain {from}")), fewest.get())
}

#[tokio::test]
async fn a_drained_host_gives_up_one_node_at_a_time_and_no_event_is_lost() {
    let mut cluster = cluster().await;
    let here = cluster.namespace("drain").await;
    let stream = here.apply(manifest::stream("drained", &manifest::quickstart()["spec"])).await;
    let wait_for_ready = ["-n", &here.name, "wait", "--for=condition=Ready", "sse/drained", "--timeout=2m"];
    kubectl(&wait_for_ready).await.must("wait for the stream as a user does");
    stream.ready().await;
    cluster.alone().await; // pods of others would have no place on a host that is drained
    let mut readers = stream.subscribe_to_each_node(2).await;
    let nodes = stream.nodes(2).await;
    let mut publishing = stream.publish_numbers(1..=1_000_000, per_second(20));
    publishing.more_acknowledged(20).await;

    // The test cluster has two hosts. So whatever was where, then both nodes are on one of them, and its drain asks for
    // both at once.
    let begun = Instant::now();
    let first = hosts(&stream, Component::Node, 2).await.remove(0);
    let (_, fewest) = drain(&stream, Component::Node, 2, &first).await;
    let second = hosts(&stream, Component::Node, 2).await.remove(0);
    let (told, fewest_of_both) = drain(&stream, Component::Node, 2, &second).await;
    let took = begun.elapsed();
    cluster.share();
    assert!(told.contains("disruption budget"), "the second node was not held back: {told}");
    let fewest = fewest.min(fewest_of_both);
    assert!(fewest >= 1, "for a moment there was no ready node");
    let after = stream.nodes(2).await;
    assert!(after.iter().all(|node| !nodes.contains(node)), "{after:?} of {nodes:?}");

    publishing.more_acknowledged(20).await;
    let published = publishing.stop().await;
    let mut connections = 0;
    for reader in &mut readers {
        reader.expect_published(&published).await;
        assert!(reader.connections() > 1, "a subscriber was never moved");
        assert!(reader.refusals().is_empty(), "a proxy answered {:?}", reader.refusals());
        connections += reader.connections();
    }
    kubectl(&wait_for_ready).await.must("see that the stream is ready after it");
    figures::record(
        "kubectl drain of a host, and of the other with both nodes of a stream, 20 events/s",
        &format!(
            "{:.0} s; never fewer than {fewest} of 2 nodes ready; {} acknowledged, each received once by each of 2 subscribers, over {connections} connections; {} refused",
            took.as_secs_f64(),
            published.acknowledged().count(),
            published.refused().count(),
        ),
    );
}

#[tokio::test]
async fn a_drained_host_gives_up_one_redis_at_a_time_and_no_event_is_lost() {
    let mut cluster = cluster().await;
    let here = cluster.namespace("drain-redis").await;
    // Without volumes, as those of the test cluster belong to its hosts.
    let redis = json!({"broker": {"redis": {"managed": {"topology": "Replicated", "persistence": "None"}}}});
    let stream = manifest::stream("emptied", &manifest::quickstart()["spec"]);
    let stream = here.apply(manifest::with(stream, &redis)).await;
    stream.ready().await;
    all_ready(&stream, &[]).await;
    cluster.alone().await;
    let mut readers = stream.subscribe_to_each_node(2).await;
    let mut publishing = stream.publish_numbers(1..=1_000_000, per_second(20));
    publishing.more_acknowledged(20).await;

    let hosts = hosts(&stream, Component::Redis, 3).await;
    let two = hosts.iter().find(|host| hosts.iter().filter(|other| other == host).count() > 1);
    let began = Instant::now();
    let (told, _) = drain(&stream, Component::Redis, 3, two.must("find two pods on one host")).await;
    cluster.share();
    assert!(told.contains("disruption budget"), "the second pod was not held back: {told}");
    publishing.more_acknowledged(20).await;
    let published = publishing.stop().await;
    nothing_lost(
        "kubectl drain of a host with two of three pods of Redis, 20 events/s",
        &mut readers,
        &published,
        began,
    )
    .await;
}
