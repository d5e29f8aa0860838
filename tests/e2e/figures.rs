//! Measurements on a cluster that does nothing else.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::iter};
use kube::api::ListParams;
use serde_json::json;
use ssefleet_crds::SseStream;
use ssefleet_tests::{
    Must, cluster,
    figures::{milliseconds, percentile, record},
    manifest,
    operator::{Metrics, operators},
    publisher::per_second,
    sse::reader::Reader,
    stream::{STARTUP, is_current},
    wait,
};

#[tokio::test]
async fn an_event_takes_little_longer_to_the_subscriber_than_to_the_log() {
    let mut cluster = cluster().await;
    cluster.alone().await;
    let here = cluster.namespace("latency").await;
    let applied = Instant::now();
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    record("quickstart applied to Ready, idle cluster", &format!("{:.1} s", applied.elapsed().as_secs_f64()));

    let mut reader = stream.subscribe().await;
    let publishing = stream.publish_numbers(1..=200, per_second(25));
    let received = reader.expect(1..=200).await;
    let published = publishing.all_acknowledged().await.0;
    let arrival: Vec<Duration> = received.iter().zip(&published).map(|(event, sent)| event.at - sent.sent).collect();
    let answer: Vec<Duration> = published.iter().map(|sent| sent.answered - sent.sent).collect();
    for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
        let (arrival, answer) = (percentile(&arrival, share), percentile(&answer, share));
        let value = format!("{} (publisher's answer: {})", milliseconds(arrival), milliseconds(answer));
        record(&format!("publish to subscriber through the ingress, {name} of 200"), &value);
    }
    let (arrival, answer) = (percentile(&arrival, 0.5), percentile(&answer, 0.5));
    assert!(arrival < answer * 10 + Duration::from_millis(50), "an event waits somewhere: {arrival:?}, {answer:?}");

    // What is bunched arrives after its successor was published. A busy machine may do that to a few.
    let late = received.iter().zip(&published[1..]).filter(|(event, successor)| event.at >= successor.sent).count();
    assert!(late <= 10, "{late} of 200 events arrived after the next one was published");
}

#[tokio::test]
async fn a_thousand_subscribers_get_each_event_once_and_in_order() {
    const SUBSCRIBERS: usize = 1000;
    room_for_sockets(2 * SUBSCRIBERS as u64);
    let mut cluster = cluster().await;
    let here = cluster.namespace("thousand").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    cluster.alone().await;
    drop(stream.subscribe_to_each_node(2).await); // from now on the ingress spreads them
    let connecting = iter(0..SUBSCRIBERS).map(|_| stream.subscribe()).buffer_unordered(50);
    let mut readers: Vec<Reader> = connecting.collect().await;
    let mut spread: BTreeMap<String, usize> = BTreeMap::new();
    for reader in &readers {
        *spread.entry(reader.pod().into()).or_default() += 1;
    }

    let published = stream.publish_numbers(1..=100, per_second(20)).all_acknowledged().await.0;
    // What comes after the last one proves that nothing was repeated.
    stream.publish_numbers(101..=101, per_second(1)).all_acknowledged().await;
    let mut delays = Vec::new();
    for reader in &mut readers {
        let received = reader.expect(1..=101).await;
        delays.extend(received.iter().zip(&published).map(|(event, sent)| event.at - sent.sent));
        assert_eq!(reader.connections(), 1, "a subscriber was disconnected");
    }
    let (p50, p99) = (percentile(&delays, 0.5), percentile(&delays, 0.99));
    record(
        "1,000 subscribers through the ingress, 100 events at 20/s",
        &format!(
            "{} deliveries, each once and in order; p50 {}, p99 {}; subscribers by pod {:?}",
            delays.len(),
            milliseconds(p50),
            milliseconds(p99),
            spread.values().collect::<Vec<_>>()
        ),
    );
}

/// Raises the limit of open files, which is 1024 in many shells.
pub fn room_for_sockets(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        let raised = Rlimit { current: Some(count), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).must(format_args!("open {count} files at once; raise `ulimit -Hn`"));
    }
}

#[tokio::test]
async fn fifty_streams_cost_the_operator_little_memory() {
    const STREAMS: usize = 50;
    let mut cluster = cluster().await;
    cluster.alone().await;
    let here = cluster.namespace("fifty").await;
    let before = resident(&cluster.access).await;
    let nowhere = json!({"fleet": {"pod": {"nodeSelector": {"ssefleet.dev/nowhere": "true"}}}});
    for i in 0..STREAMS {
        let mut wanted = manifest::with(manifest::memory(), &nowhere);
        wanted["metadata"]["name"] = json!(format!("stream-{i}"));
        here.apply(wanted).await;
    }
    let what = "every stream has a status about its newest spec";
    let met = |streams: &[SseStream]| streams.len() == STREAMS && streams.iter().all(is_current);
    wait::until_list(&here.access.api(&here.name), ListParams::default(), what, STARTUP, met).await;
    let after = resident(&cluster.access).await;
    record(
        "RSS of the operators (leader, follower) without and with 50 streams",
        &format!("{before:?} → {after:?} MiB"),
    );
    assert!(after[0] < 256.0, "the leader uses more than its memory limit: {after:?}");
}

/// MiB of each operator, the largest first.
async fn resident(access: &ssefleet_tests::cluster::Access) -> Vec<f64> {
    let mut sizes = Vec::new();
    for pod in operators(access).await {
        let bytes = Metrics::of(access, &pod).await.sum("process_resident_memory_bytes");
        sizes.push((bytes.must("read process_resident_memory_bytes") / 104_857.6).round() / 10.0);
    }
    sizes.sort_by(|a, b| b.total_cmp(a));
    sizes
}
