//! A rollout moves everybody, no faster than the stream says, and loses nothing: the promise that a fleet is for.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, stream::iter};
use serde_json::json;
use ssefleet_tests::{Must, cluster, figures::record, manifest, sse::reader::Reader, stream::Stream};
use tokio::time::{MissedTickBehavior, interval};

use crate::figures::room_for_sockets;

const SUBSCRIBERS: usize = 3000;
/// Reconnects a second, over all nodes: `drain.reconnectsPerSecond`.
const BUDGET: usize = 200;
/// Each subscriber reads one of so many topics, so that 100 events a second are 3,000 deliveries a second.
const TOPICS: u64 = 100;
/// So many are published at a time, ten times a second; as many times, and each topic has had one.
const BATCH: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_of_three_nodes_keeps_within_the_budget_and_loses_nothing() {
    room_for_sockets(2 * SUBSCRIBERS as u64 + 500);
    let mut cluster = cluster().await;
    let here = cluster.namespace("rollout").await;
    let fleet = json!({
        "fleet": {"replicas": 3, "drain": {"reconnectsPerSecond": BUDGET, "timeout": "2m"}},
        "connections": {"maxPerPod": 4000},
    });
    let stream = here.apply(manifest::with(manifest::quickstart(), &fleet)).await;
    stream.ready().await;
    cluster.alone().await;
    drop(stream.subscribe_to_each_node(3).await); // from now on the ingress spreads them
    let old = stream.nodes(3).await;
    let connecting = iter(0..SUBSCRIBERS as u64)
        .map(|n| {
            let stream = stream.clone();
            async move { (n % TOPICS, stream.subscribe_at(&format!("/events?topic=t{}", n % TOPICS)).await) }
        })
        .buffer_unordered(50);
    let mut readers: Vec<(u64, Reader)> = connecting.collect().await;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let publishing = tokio::spawn(publish(stream.clone(), stopped));
    let begun = Instant::now();
    stream.edit_spec(json!({"fleet": {"pod": {"annotations": {"example.com/rolled": "1"}}}})).await;
    stream.ready().await;
    let new = stream.nodes(3).await;
    let took = begun.elapsed();
    assert!(new.iter().all(|node| !old.contains(node)), "{new:?} of {old:?}");
    stop.send_replace(true);
    let published = publishing.await.must("publish to the end");
    let unsure = published.values().filter(|acknowledged| !**acknowledged).count();

    // Everybody has everything up to the last event of its topic, in order, once.
    let read = join_all(readers.iter_mut().map(|(topic, reader)| read(*topic, reader, &published))).await;
    let deliveries: usize = read.iter().sum();
    let mut seconds: BTreeMap<u64, usize> = BTreeMap::new();
    let mut reconnects: Vec<Instant> = readers.iter().flat_map(|(_, reader)| reader.begun()[1..].to_vec()).collect();
    reconnects.sort_unstable();
    let refused: Vec<_> = readers.iter().flat_map(|(_, reader)| reader.refusals()).collect();
    let first = *reconnects.first().must("find a reconnect");
    for at in &reconnects {
        *seconds.entry((*at - first).as_secs()).or_default() += 1;
    }
    let histogram: Vec<_> = (0..=*seconds.keys().last().must("find a second"))
        .map(|second| seconds.get(&second).copied().unwrap_or(0))
        .collect();
    // Not only by whole seconds: within any second.
    let second = Duration::from_secs(1);
    let most = reconnects
        .iter()
        .enumerate()
        .map(|(n, from)| reconnects[n..].iter().take_while(|at| **at - *from < second).count())
        .max();
    record(
        "a rollout of 3 nodes with 3,000 subscribers at 100 events/s",
        &format!(
            "{:.0} s; {} events, {unsure} of them not acknowledged; {deliveries} deliveries, none lost, none twice; {} reconnects, {} refused",
            took.as_secs_f64(),
            published.len(),
            reconnects.len(),
            refused.len()
        ),
    );
    record(
        &format!("its reconnects by second, as subscribers saw them (budget {BUDGET})"),
        &format!("{histogram:?}; at most {} within any second", most.unwrap_or(0)),
    );
    assert!(reconnects.len() >= SUBSCRIBERS, "only {} have moved", reconnects.len());
    assert!(refused.is_empty(), "a proxy answered {:?}", &refused[..refused.len().min(5)]);
    assert!(most.is_some_and(|most| most <= BUDGET), "{most:?} within a second: {histogram:?}");
}

/// Publishes until it is to stop; says of each number whether it was acknowledged. A number's topic is what is left of it.
async fn publish(stream: Stream, stop: tokio::sync::watch::Receiver<bool>) -> BTreeMap<u64, bool> {
    let mut to = stream.publisher();
    let mut published = BTreeMap::new();
    let mut ticks = interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // After the end each topic gets a last event, which has to be acknowledged.
    let mut last = 0;
    while last < BATCH {
        ticks.tick().await;
        let numbers: Vec<u64> = (published.len() as u64..).take(BATCH).collect();
        let events: Vec<_> =
            numbers.iter().map(|n| json!({"topic": format!("t{}", n % TOPICS), "data": n.to_string()})).collect();
        let acknowledged = to.publish(&json!(events)).await.is_ok();
        published.extend(numbers.into_iter().map(|number| (number, acknowledged)));
        last = if *stop.borrow() && acknowledged { last + 1 } else { 0 };
    }
    published
}

/// Reads a topic to its end; returns how many events there were. What was not acknowledged may be there or not.
async fn read(topic: u64, reader: &mut Reader, published: &BTreeMap<u64, bool>) -> usize {
    let mut wanted = published.iter().filter(|(number, _)| *number % TOPICS == topic).peekable();
    let mut count = 0;
    while let Some(&(&number, &acknowledged)) = wanted.peek() {
        let got = reader.next().await.number();
        if got != number && !acknowledged {
            while wanted.next_if(|(number, acknowledged)| **number != got && !**acknowledged).is_some() {}
        }
        assert_eq!(
            wanted.next().map(|(number, _)| *number),
            Some(got),
            "{number} of topic t{topic} is missing or came before"
        );
        count += 1;
    }
    count
}
