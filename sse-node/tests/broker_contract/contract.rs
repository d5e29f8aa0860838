//! Positions, reading and following.

use std::{sync::Arc, time::Duration};

use sse_node::{
    broker::{Broker, Retention, clock::Clock, memory::Memory},
    event::{NewEvent, Position},
};
use ssefleet_tests::redis::Server;

use crate::support::{MAX_EVENTS, append, data, follow, new, redis, seqs};

/// The last number that the contract's log gives.
pub const LAST: u64 = 1107;

pub async fn keeps_the_contract(broker: Arc<dyn Broker>) {
    let empty = broker.open().await.unwrap();
    assert_eq!((empty.first.seq, empty.last.seq), (1, 0));
    assert!(empty.last.epoch > 0);

    // Positions count up by one, within a batch and between batches.
    assert_eq!(seqs(&append(&*broker, 1..=3).await), [1, 2, 3]);
    assert_eq!(seqs(&append(&*broker, [4]).await), [4]);
    let extent = broker.open().await.unwrap();
    assert_eq!((extent.first.seq, extent.last.seq), (1, 4));
    assert_eq!(extent.last.epoch, empty.last.epoch);

    // A reader gets all after its position, in order, at most as many as it asks for, and what was put in.
    let page = broker.read_after(empty.last, 3).await.unwrap();
    assert_eq!(data(&page), ["1", "2", "3"]);
    assert_eq!((page[0].position, &page[0].new), (Position::new(extent.last.epoch, 1), &new(1)));
    assert_eq!(data(&broker.read_after(page[2].position, 10).await.unwrap()), ["4"]);
    assert_eq!(broker.read_after(extent.last, 10).await.unwrap(), []);

    // A tail begins right after its position, and waits for what is not there yet.
    let mut tail = broker.tail(page[1].position);
    assert_eq!(data(&follow(&mut *tail, 2).await), ["3", "4"]);
    let (events, _) = tokio::join!(follow(&mut *tail, 2), append(&*broker, 5..=6));
    assert_eq!(data(&events), ["5", "6"]);
    drop(tail);

    // What was put in comes out, byte for byte.
    let ttl = Some(Duration::from_millis(1500));
    let odd = NewEvent { topic: "ü/#".into(), event: None, data: "a\r\n\u{feff}\"'\\ 😀".into(), ttl };
    let before = Clock::default().now();
    let position = broker.append(vec![odd.clone()]).await.unwrap()[0];
    let read = broker.read_after(position.before(), 1).await.unwrap().remove(0);
    assert_eq!((read.position, &read.new), (position, &odd));
    // With the time at which that was, which says when it expires.
    assert!((before..=Clock::default().now()).contains(&read.at), "{}", read.at);
    assert_eq!(read.expires(), Some(read.at + 1500));

    // Two who write at once both count; nothing is given twice.
    let (one, two) = tokio::join!(append(&*broker, 0..50), append(&*broker, 0..50));
    let mut all = seqs(&[one, two].concat());
    all.sort_unstable();
    assert_eq!(all, (8..108).collect::<Vec<_>>());

    // The log keeps at least what it must, and not much more.
    append(&*broker, 0..1000).await;
    let extent = broker.open().await.unwrap();
    let kept = extent.last.seq - extent.first.seq + 1;
    assert!((MAX_EVENTS as u64..=MAX_EVENTS as u64 * 3).contains(&kept), "{kept} are kept");
    let oldest = &broker.read_after(Position { seq: 0, ..extent.last }, 1).await.unwrap()[0];
    assert_eq!(oldest.position, extent.first);
    assert_eq!(extent.last.seq, LAST);
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    keeps_the_contract(Arc::new(Memory::new(Retention::of_events(MAX_EVENTS)))).await;
}

#[tokio::test]
async fn redis_keeps_the_contract() {
    let server = Server::start().await;
    keeps_the_contract(Arc::new(redis(&server))).await;
}

#[tokio::test]
async fn two_nodes_read_the_same_log() {
    let server = Server::start().await;
    let (one, two) = (redis(&server), redis(&server));
    let begin = one.open().await.unwrap().last;
    let (mut tail, positions) = (two.tail(begin), append(&one, 1..=3).await);
    let events = follow(&mut *tail, 3).await;
    assert_eq!(events.iter().map(|event| event.position).collect::<Vec<_>>(), positions);
}
