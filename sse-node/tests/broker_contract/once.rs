//! A retry is stored once, on whichever node it arrives.

use std::sync::Arc;

use sse_node::{
    broker::{Appended, Broker, BrokerError, Once, REMEMBERED, Retention, clock::Clock, memory::Memory},
    event::Position,
};
use ssefleet_tests::redis::Server;

use crate::support::{KEY, MAX_EVENTS, all, append, new, redis};

fn once(key: &str, fingerprint: &str) -> Once {
    Once { key: key.into(), fingerprint: fingerprint.into() }
}

async fn store(broker: &dyn Broker, key: &str, events: std::ops::RangeInclusive<u32>) -> Appended {
    let fingerprint = format!("{events:?}");
    broker.append_once(once(key, &fingerprint), events.map(new).collect()).await.unwrap()
}

fn stored(appended: Appended) -> Vec<Position> {
    match appended {
        Appended::Stored(positions) => positions,
        other => panic!("{other:?}"),
    }
}

async fn stores_a_retry_once(one: Arc<dyn Broker>, two: Arc<dyn Broker>) {
    stores_a_retry_once_after(0, one, two).await;
}

/// In a log whose newest event has a number.
pub async fn stores_a_retry_once_after(last: u64, one: Arc<dyn Broker>, two: Arc<dyn Broker>) {
    append(&*one, [0]).await;
    let positions = stored(store(&*one, "a", 1..=3).await);
    assert_eq!(positions.iter().map(|position| position.seq - last).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(store(&*two, "a", 1..=3).await, Appended::Replayed(positions.clone()));
    assert_eq!(store(&*two, "a", 1..=2).await, Appended::Conflict);
    assert_eq!(newest(&*one).await - last, 4);

    // Another key is another publication, whatever it holds.
    assert_eq!(stored(store(&*two, "b", 1..=3).await)[0].seq - last, 5);
    // Twins that come together are stored once.
    let twins = (0..20).map(|i| {
        let broker = if i % 2 == 0 { one.clone() } else { two.clone() };
        async move { store(&*broker, "c", 7..=7).await }
    });
    let twins = futures_util::future::join_all(twins).await;
    assert_eq!(twins.iter().filter(|twin| matches!(twin, Appended::Stored(_))).count(), 1);
    assert_eq!(newest(&*one).await - last, 8);
    for twin in twins {
        let (Appended::Stored(positions) | Appended::Replayed(positions)) = twin else { panic!("{twin:?}") };
        assert_eq!(positions[0].seq - last, 8);
    }
}

async fn newest(broker: &dyn Broker) -> u64 {
    broker.open().await.unwrap().last.seq
}

#[tokio::test]
async fn memory_stores_a_retry_once() {
    let memory = Arc::new(Memory::new(Retention::of_events(MAX_EVENTS)));
    stores_a_retry_once(memory.clone(), memory).await;
}

#[tokio::test]
async fn redis_stores_a_retry_once() {
    let server = Server::start().await;
    stores_a_retry_once(Arc::new(redis(&server)), Arc::new(redis(&server))).await;
    // Memos lie where a Redis Cluster finds them beside the log, and are forgotten in time.
    let memo = format!("{{{KEY}}}:once:a");
    let left: u128 = server.command(&["PTTL", &memo]).await.parse().unwrap();
    assert!(left <= REMEMBERED.as_millis() && left > REMEMBERED.as_millis() - 60_000, "{left}");
}

#[tokio::test]
async fn memory_forgets_a_key_after_its_time() {
    let now = Arc::new(std::sync::atomic::AtomicU64::new(1_000_000));
    let clock = now.clone();
    let clock = Clock::new(move || clock.load(std::sync::atomic::Ordering::Relaxed));
    let memory = Memory::with_clock(Retention::of_events(MAX_EVENTS), clock);
    let first = stored(store(&memory, "a", 1..=1).await);
    now.store(1_000_000 + 599_999, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(store(&memory, "a", 1..=1).await, Appended::Replayed(first));
    now.store(1_000_000 + 600_000, std::sync::atomic::Ordering::Relaxed);
    stored(store(&memory, "a", 1..=1).await);
}

#[tokio::test]
async fn a_retry_after_redis_crashed_is_stored_once() {
    let mut server = Server::start().await;
    let positions = stored(store(&redis(&server), "a", 1..=3).await);
    server.kill().await;
    server.restart().await;
    let broker = redis(&server);
    assert_eq!(store(&broker, "a", 1..=3).await, Appended::Replayed(positions));
    assert_eq!(all(&broker).await.len(), 3);
}

#[tokio::test]
async fn a_retry_after_the_log_was_lost_is_stored_in_the_new_one() {
    let server = Server::start().await;
    let broker = redis(&server);
    let before = stored(store(&broker, "a", 1..=2).await);
    server.command(&["FLUSHALL"]).await;
    let after = stored(store(&broker, "a", 1..=2).await);
    assert!(after[0].epoch > before[0].epoch);
    // Another node, which knows only the old one, finds its way too.
    let other = redis(&server);
    other.open().await.unwrap();
    server.command(&["DEL", KEY]).await;
    assert!(stored(store(&other, "b", 1..=2).await)[0].epoch > after[0].epoch);
    assert_eq!(stored(store(&broker, "c", 3..=3).await)[0].seq, 3);
}

#[tokio::test]
async fn a_full_redis_stores_neither_the_events_nor_their_key() {
    let server = Server::start().await;
    let broker = redis(&server);
    append(&broker, [1]).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = broker.append_once(once("a", "x"), vec![new(2), new(3)]).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Full), "{refused}");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(all(&broker).await.len(), 1);
    stored(store(&broker, "a", 2..=3).await);
}
