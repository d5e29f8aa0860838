//! The first thing a user does: apply the quickstart, publish, subscribe.

use std::time::Instant;

use serde_json::json;
use ssefleet_tests::{cluster, figures, manifest};

#[tokio::test]
async fn an_event_reaches_the_subscribers_of_both_pods_through_the_ingress() {
    let cluster = cluster().await;
    let here = cluster.namespace("quickstart").await;
    let applied = Instant::now();
    let stream = here.apply(manifest::quickstart()).await;
    let status = stream.ready().await.status.unwrap_or_default();
    figures::record(
        "quickstart applied to Ready, beside other tests",
        &format!("{:.1} s", applied.elapsed().as_secs_f64()),
    );
    assert_eq!(status.ready_replicas, 2);
    assert!(status.url.as_deref().is_some_and(|url| url.ends_with("/events")), "{:?}", status.url);

    let mut readers = stream.subscribe_to_each_node(2).await;
    let ids = stream.publisher().publish(&json!({"topic": "number", "event": "number", "data": "1"})).await.unwrap();
    for reader in &mut readers {
        let received = reader.expect(1..=1).await;
        assert_eq!(received[0].event.event, "number");
        assert_eq!(received[0].event.id, ids[0], "the publisher and the subscribers know it by the same id");
    }
}

#[tokio::test]
async fn topics_are_chosen_exactly_or_by_prefix() {
    let cluster = cluster().await;
    let here = cluster.namespace("topics").await;
    let stream = here.apply(with_ingress(manifest::memory())).await;
    stream.ready().await;
    let mut exact = stream.subscribe_at("/events?topic=orders.eu&topic=trades").await;
    let mut prefix = stream.subscribe_at("/events?topic=orders.*").await;
    let mut all = stream.subscribe_at("/events").await;
    let event = |topic: &str, number: u64| json!({"topic": topic, "data": number.to_string()});
    let events = json!([
        event("orders.eu", 1),
        event("orders.us", 2),
        event("trades", 3),
        event("other", 4),
        event("orders.eu", 5)
    ]);
    assert_eq!(stream.publisher().publish(&events).await.unwrap().len(), 5);
    for (reader, numbers) in [(&mut exact, &[1, 3, 5][..]), (&mut prefix, &[1, 2, 5]), (&mut all, &[1, 2, 3, 4, 5])] {
        for &number in numbers {
            assert_eq!(reader.next().await.number(), number);
        }
    }
}

/// The same stream, reachable through the ingress.
fn with_ingress(manifest: serde_json::Value) -> serde_json::Value {
    manifest::with(manifest, &json!({"exposure": {"ingress": {"controller": "Traefik"}}}))
}
