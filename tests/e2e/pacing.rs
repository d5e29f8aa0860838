//! Nothing on the way holds events back: they arrive as they are published.

use std::time::Duration;

use ssefleet_tests::{cluster_alone, manifest, publisher::per_second};

#[tokio::test]
async fn events_arrive_one_by_one_and_not_bunched() {
    let cluster = cluster_alone().await;
    let here = cluster.namespace("pacing").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    let mut reader = stream.subscribe().await;
    let publishing = stream.publish_numbers(1..=30, per_second(5));
    let received = reader.expect(1..=30).await;
    let published = publishing.all_acknowledged().await.0;

    // What is bunched arrives after its successor was published. A busy machine may do that to one or two.
    let late = received.iter().zip(&published[1..]).filter(|(event, successor)| event.at >= successor.sent).count();
    assert!(late <= 2, "{late} of 30 events arrived after the next one was published");

    // And the rhythm is kept: most gaps between arrivals are those between publishings, within a quarter of a gap.
    let gap = Duration::from_secs(1) / 5;
    let off = received.windows(2).zip(published.windows(2)).filter(|(arrived, sent)| {
        let arrived = arrived[1].at - arrived[0].at;
        arrived.abs_diff(sent[1].sent - sent[0].sent) > gap / 4
    });
    let off = off.count();
    assert!(off <= 7, "{off} of 29 gaps between arrivals differ from those between publishings");
}
