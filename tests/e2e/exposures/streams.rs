//! What a stream is like by each way in: when it begins, how events are spaced, and that silence does not end it.
//! `SSEFLEET_IDLE=600` holds streams for ten minutes; by default it is a little more than the 60 s after which nginx and
//! others cut a silent one.

use std::{
    env,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use ssefleet_tests::{
    Must,
    ask::Ask,
    cluster,
    figures::{milliseconds, percentile, record},
    manifest,
    namespace::Namespace,
    publisher::per_second,
    sse::reader::Reader,
    stream::Stream,
};
use tokio::time::sleep;

use super::table::{Way, ways};

const EVENTS: u64 = 50;
const GAP: Duration = Duration::from_millis(100);

fn idle() -> Duration {
    let seconds = env::var("SSEFLEET_IDLE").ok().filter(|seconds| !seconds.is_empty());
    Duration::from_secs(seconds.map_or(70, |seconds| seconds.parse().must("read SSEFLEET_IDLE, which is in seconds")))
}

#[tokio::test]
async fn by_every_way_in_events_come_one_by_one_and_silence_is_survived() {
    let mut cluster = cluster().await;
    let ways = ways(&cluster.access.settings);
    let prepared = ways.iter().map(async |way| (way, cluster.namespace(&format!("way-{}", way.short)).await));
    let prepared = join_all(prepared).await;
    let streams = join_all(prepared.iter().map(|(way, here)| ready(way, here))).await;
    cluster.alone().await;
    let readers = join_all(streams.iter().map(|(way, stream)| one_by_one(way, stream))).await;
    cluster.share();
    join_all(streams.iter().zip(readers).map(|((way, stream), reader)| survives_silence(way, stream, reader))).await;
}

async fn ready<'a>(way: &'a Way, here: &Namespace) -> (&'a Way, Stream) {
    let stream = way.apply(here, manifest::memory()).await;
    stream.ready().await;
    (way, stream)
}

async fn one_by_one(way: &Way, stream: &Stream) -> Reader {
    let mut reader = stream.subscribe().await;
    let asked = Instant::now();
    let mut answer = stream.ask(&Ask::get("/events")).await;
    let greeting = answer.bytes().await;
    let first = asked.elapsed();
    assert!(greeting.starts_with(b"retry: "), "{}: begins with {greeting:?}", way.name);
    drop(answer);

    let publishing = stream.publish_numbers(1..=EVENTS, per_second(10));
    let received = reader.expect(1..=EVENTS).await;
    let published = publishing.all_acknowledged().await.0;
    let gaps: Vec<_> = received.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let late = received.iter().zip(&published[1..]).filter(|(event, successor)| event.at >= successor.sent).count();
    assert!(late <= 3, "{}: {late} of {EVENTS} events came after the next one was published", way.name);
    let bunched = gaps.iter().filter(|gap| **gap < GAP / 4).count();
    assert!(bunched <= 5, "{}: {bunched} of {EVENTS} events came right after another", way.name);
    record(
        &format!("{}: events 100 ms apart", way.name),
        &format!(
            "arrive {} to {} apart (p10, p90; longest {}); begins after {}",
            milliseconds(percentile(&gaps, 0.1)),
            milliseconds(percentile(&gaps, 0.9)),
            milliseconds(percentile(&gaps, 1.0)),
            milliseconds(first),
        ),
    );
    reader
}

async fn survives_silence(way: &Way, stream: &Stream, mut reader: Reader) {
    let idle = idle();
    let since = Instant::now();
    sleep(idle).await;
    stream.publish_numbers(EVENTS + 1..=EVENTS + 1, per_second(1)).all_acknowledged().await;
    reader.expect(EVENTS + 1..=EVENTS + 1).await;
    assert_eq!(reader.connections(), 1, "{}: the stream was cut in {:?} of silence", way.name, since.elapsed());
    record(
        &format!("{}: a stream with heartbeats only", way.name),
        &format!("still open after {} s", since.elapsed().as_secs()),
    );
}
