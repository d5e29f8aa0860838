//! A subscriber whose pod goes away goes on from another one, where it was.

use ssefleet_tests::{cluster, manifest, publisher::per_second};

#[tokio::test]
async fn reconnect_after_pod_delete_misses_and_repeats_nothing() {
    let cluster = cluster().await;
    let here = cluster.namespace("resume").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    let mut reader = stream.subscribe().await;
    let first_pod = reader.pod().to_owned();
    let publishing = stream.publish_numbers(1..=500, per_second(50));
    reader.expect(1..=100).await;

    stream.delete_pod(&first_pod).await;
    let published = publishing.done().await;
    reader.expect_published(&published).await;
    assert_ne!(reader.pod(), first_pod);
    assert_eq!(reader.connections(), 2, "it should reconnect once");

    // Only a publish that was under way on the deleted pod's connection may be without an answer.
    let refused: Vec<_> = published.refused().collect();
    assert!(refused.len() <= 1, "publishes were refused: {refused:?}");

    // What follows is new: nothing was repeated after the last one.
    stream.publish_numbers(501..=501, per_second(50)).all_acknowledged().await;
    reader.expect(501..=501).await;
}

#[tokio::test]
async fn a_late_subscriber_gets_the_history_after_its_last_event_id() {
    let cluster = cluster().await;
    let here = cluster.namespace("history").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    let published = stream.publish_numbers(1..=20, per_second(100)).all_acknowledged().await;
    let id = published.0[9].outcome.as_deref().unwrap();
    let mut reader = stream.subscribe_at(&format!("/events?topic=number&lastEventId={id}")).await;
    reader.expect(11..=20).await;
}
