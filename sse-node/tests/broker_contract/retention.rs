//! What is kept: so many events, so large, so old.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use sse_node::{
    broker::{Broker, Retention, clock::Clock, memory::Memory, redis::Redis},
    event::{NewEvent, Position},
};
use ssefleet_tests::redis::Server;
use tokio::time::timeout;

use crate::support::{KEY, MAX_EVENTS, address, all, append, data, follow, redis};

const NOW: u64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// A clock that can be set.
fn clock() -> (Arc<AtomicU64>, Clock) {
    let now = Arc::new(AtomicU64::new(NOW));
    let shown = now.clone();
    (now, Clock::new(move || shown.load(Relaxed)))
}

fn large(bytes: usize) -> NewEvent {
    NewEvent { topic: "t".into(), event: None, data: "x".repeat(bytes), ttl: None }
}

#[tokio::test]
async fn memory_keeps_exactly_what_it_is_told() {
    let (now, clock) = clock();
    let retention = Retention { events: 5, age: Duration::from_mins(1), bytes: 1000 };
    let memory = Memory::with_clock(retention, clock);
    append(&memory, 0..7).await;
    assert_eq!(data(&all(&memory).await), ["2", "3", "4", "5", "6"]);

    // Data and topics: 901 and 99 bytes leave room for nothing else.
    memory.append(vec![large(900)]).await.unwrap();
    assert_eq!(all(&memory).await.len(), 5);
    memory.append(vec![large(98)]).await.unwrap();
    assert_eq!(all(&memory).await.len(), 2);
    // One that is larger than all that may be kept is kept alone.
    memory.append(vec![large(5000)]).await.unwrap();
    assert_eq!(all(&memory).await.len(), 1);

    // Age, when it is read and when it is opened.
    append(&memory, [7]).await;
    now.store(NOW + 30_000, Relaxed);
    append(&memory, [8]).await;
    now.store(NOW + 60_000, Relaxed);
    assert_eq!(data(&all(&memory).await), ["7", "8"]);
    now.store(NOW + 60_001, Relaxed);
    assert_eq!(data(&all(&memory).await), ["8"]);
    now.store(NOW + 600_000, Relaxed);
    let extent = memory.open().await.unwrap();
    assert_eq!((extent.first.seq, extent.last.seq), (13, 12));
}

#[tokio::test]
async fn memory_is_told_anew_while_it_runs() {
    let memory = Memory::new(Retention::of_events(MAX_EVENTS));
    append(&memory, 0..50).await;
    memory.retain(Retention::of_events(10));
    assert_eq!(all(&memory).await.len(), 10);
}

/// Reads the log of a Redis until it holds no more than `n` events, with a node that follows it.
async fn trimmed(broker: &Redis, n: usize) -> Vec<String> {
    let last = broker.open().await.unwrap().last;
    let mut tail = broker.tail(last);
    let look = async {
        loop {
            let log = all(broker).await;
            if log.len() <= n {
                return data(&log);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let following = async {
        loop {
            tail.next().await.unwrap();
        }
    };
    tokio::select! {
        found = timeout(PATIENCE, look) => found.expect("it is never trimmed"),
        () = following => unreachable!(),
    }
}

#[tokio::test]
async fn redis_lets_go_of_what_is_too_old() {
    let server = Server::start().await;
    let (now, clock) = clock();
    let retention = Retention { age: Duration::from_mins(1), ..Retention::of_events(100_000) };
    let broker = Redis::with_clock(address(&server), KEY.into(), retention, clock);
    // One by a node whose clock is a day ahead, which must not hold up the rest.
    now.store(NOW + 86_400_000, Relaxed);
    append(&broker, [9999]).await;
    now.store(NOW, Relaxed);
    append(&broker, 0..3000).await;
    now.store(NOW + 30_000, Relaxed);
    append(&broker, 3000..3010).await;
    now.store(NOW + 60_000, Relaxed);
    let last = broker.open().await.unwrap().last;
    let mut tail = broker.tail(Position { seq: last.seq - 1, ..last });
    follow(&mut *tail, 1).await;
    assert_eq!(all(&broker).await.len(), 3011);

    now.store(NOW + 61_000, Relaxed);
    let left: Vec<_> = (3000..3010).map(|n: u32| n.to_string()).collect();
    assert_eq!(trimmed(&broker, 10).await, left);
    now.store(NOW + 100_000, Relaxed);
    assert_eq!(trimmed(&broker, 0).await, [""; 0]);
    // The numbers go on.
    assert_eq!(append(&broker, [1]).await[0].seq, 3012);
}

#[tokio::test]
async fn redis_lets_go_of_what_takes_too_much_memory() {
    let server = Server::start().await;
    let broker =
        Redis::new(address(&server), KEY.into(), Retention { bytes: 1 << 20, ..Retention::of_events(100_000) });
    append(&broker, 0..2000).await;
    broker.append((0..300).map(|_| large(10_000)).collect()).await.unwrap();
    let kept = trimmed(&broker, 100).await;
    let used: usize = server.command(&["MEMORY", "USAGE", KEY, "SAMPLES", "0"]).await.parse().unwrap();
    assert!((700_000..=1 << 20).contains(&used), "{} events take {used} bytes", kept.len());
    // The newest stays, however large.
    broker.append(vec![large(3 << 20)]).await.unwrap();
    assert_eq!(trimmed(&broker, 1).await[0].len(), 3 << 20);
}

#[tokio::test]
async fn redis_is_told_anew_while_it_runs() {
    let server = Server::start().await;
    let (now, clock) = clock();
    let broker = Redis::with_clock(address(&server), KEY.into(), Retention::of_events(MAX_EVENTS), clock);
    append(&broker, 0..50).await;
    now.store(NOW + 5_000, Relaxed);
    let looking = trimmed(&broker, 0);
    let telling = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        broker.retain(Retention { age: Duration::from_secs(1), ..Retention::of_events(MAX_EVENTS) });
    };
    tokio::join!(looking, telling);
}

#[tokio::test]
async fn a_log_where_nothing_happens_is_left_in_peace() {
    let server = Server::start().await;
    let broker = redis(&server);
    let last = append(&broker, [1]).await[0];
    let mut tail = broker.tail(last);
    let calls = async || -> u64 {
        let stats = server.command(&["INFO", "commandstats"]).await;
        let memory = stats.lines().find_map(|line| line.strip_prefix("cmdstat_xlen:calls="));
        memory.and_then(|rest| rest.split(',').next()).map_or(0, |n| n.parse().unwrap())
    };
    let waited = timeout(Duration::from_secs(10), tail.next()).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(calls().await, 1);
    // Events are a reason to look again.
    append(&broker, [2]).await;
    follow(&mut *tail, 1).await;
    let _ = timeout(Duration::from_secs(9), tail.next()).await;
    assert_eq!(calls().await, 2);
}
