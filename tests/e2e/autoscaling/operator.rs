//! Mode Operator under load, and with the load gone.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::ListParams};
use serde_json::json;
use ssefleet_tests::{
    cluster,
    figures::record,
    sse::reader::Reader,
    stream::{REACTION, STARTUP, condition},
    wait,
};

use super::{
    crowd::{closed, crowd, spread, spread_until},
    now_wanted, scaled, wanted,
};

const TARGET: u64 = 100;

#[tokio::test]
async fn three_hundred_connections_bring_three_nodes_and_the_load_gone_takes_the_emptiest_away() {
    let cluster = cluster().await;
    let here = cluster.namespace("autoscale").await;
    let stream = here.apply(scaled(&json!({}))).await;
    stream.ready().await;

    let mut readers = crowd(&stream, 300).await;
    let begun = Instant::now();
    let pods = stream.nodes(3).await;
    record("autoscaling: 300 connections at a target of 100, from the last to 3 ready nodes", &seconds(begun));
    let deadline = Duration::from_mins(2);
    let even = |spread: &BTreeMap<String, u64>| {
        spread.values().sum::<u64>() == 300 && spread.values().all(|has| *has <= TARGET * 5 / 4)
    };
    let spread_now = spread_until(&stream, &pods, deadline, even).await;
    let shed = closed(&stream, &pods, "shed").await;
    record(
        "autoscaling: connections a node after shedding",
        &format!("{:?} after {}, {shed} moved", spread_now.values().collect::<Vec<_>>(), seconds(begun)),
    );
    assert!((100..=400).contains(&shed), "{shed} were shed");
    assert_eq!(now_wanted(&stream).await, 3);
    let status = stream.get().await.status.unwrap_or_default();
    assert_eq!(status.autoscaling.map(|decided| (decided.desired_replicas, decided.fleet_replicas)), Some((3, 1)));

    // Of the load 60 stay with one node, and a few with the others.
    let mut by_pod: BTreeMap<String, Vec<Reader>> = BTreeMap::new();
    for reader in &mut readers {
        reader.catch_up();
    }
    for reader in readers {
        by_pod.entry(reader.pod().to_owned()).or_default().push(reader);
    }
    let full = pods[1].clone();
    for (pod, readers) in &mut by_pod {
        readers.truncate(if *pod == full { 60 } else { 5 });
    }
    let mut staying = by_pod.remove(&full).unwrap_or_default();
    let mut moving: Vec<Reader> = by_pod.into_values().flatten().collect();
    let before: Vec<usize> = staying.iter().map(Reader::connections).collect();
    let begun = Instant::now();
    wanted(&stream, 2).await;
    record("autoscaling: load gone (70 of 300 left) to the first node less, window of 20 s", &seconds(begun));
    wanted(&stream, 1).await;
    assert_eq!(stream.nodes(1).await, std::slice::from_ref(&full), "the fullest node has gone");
    record("autoscaling: load gone to one node", &seconds(begun));
    for reader in staying.iter_mut().chain(&mut moving) {
        reader.catch_up();
    }
    let after: Vec<usize> = staying.iter().map(Reader::connections).collect();
    assert_eq!(after, before, "one of the node that stayed was disconnected");
    let again: usize = moving.iter().map(|reader| reader.connections() - 1).sum();
    let met = |spread: &BTreeMap<String, u64>| spread.values().sum::<u64>() == 70;
    // One may have been sent to the pod that went, by a Traefik that hears late and tries that for 30 s.
    spread_until(&stream, std::slice::from_ref(&full), deadline, met).await;
    record(
        "autoscaling: disconnected by scaling from 3 to 1",
        &format!(
            "none of the {} on the node that stayed; {} reconnects by 10 of those that went",
            staying.len(),
            again
        ),
    );
    // No pod that stays is left with a mark.
    let marked = |pods: &[Pod]| {
        pods.iter().any(|pod| pod.annotations().contains_key("controller.kubernetes.io/pod-deletion-cost"))
    };
    let nodes = stream.selected(ssefleet_crds::names::Component::Node);
    let nodes = ListParams { label_selector: nodes.label_selector, ..ListParams::default() };
    wait::until_list::<Pod>(&stream.api(), nodes, "no pod is marked", STARTUP, |pods| !marked(pods)).await;
    let told =
        stream.until("autoscaling tells of it", REACTION, |stream| condition(stream, "Autoscaling").is_some()).await;
    assert_eq!(condition(&told, "Autoscaling").map(|condition| condition.reason.as_str()), Some("AsNeeded"));
    assert_eq!(spread(&stream, &[full]).await.values().sum::<u64>(), 70);
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}
