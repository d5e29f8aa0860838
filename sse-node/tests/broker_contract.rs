//! The contract of a broker, held to by both: memory, and Redis by way of a real server.
//!
//! Each test is a promise of `sse_node::broker::Broker`; what only Redis can break comes last.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{path::PathBuf, sync::Arc};

use sse_node::{
    broker::{
        Broker, BrokerError, Tailed,
        memory::Memory,
        redis::{Address, Redis},
    },
    event::{Event, NewEvent, Position},
};
use ssefleet_tests::redis::Server;

const MAX_EVENTS: usize = 100;

fn new(data: u32) -> NewEvent {
    NewEvent { topic: "t".into(), event: Some("e".into()), data: data.to_string() }
}

fn address(server: &Server) -> Address {
    Address { url: server.url(), username: None, password: None, ca: None }
}

fn redis(server: &Server) -> Redis {
    Redis::new(address(server), "ssefleet:default/quotes".into(), MAX_EVENTS)
}

fn seqs(positions: &[Position]) -> Vec<u64> {
    positions.iter().map(|position| position.seq).collect()
}

fn data(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.new.data.clone()).collect()
}

async fn append(broker: &dyn Broker, events: impl IntoIterator<Item = u32>) -> Vec<Position> {
    broker.append(events.into_iter().map(new).collect()).await.unwrap()
}

/// All events that a tail gives until it has given `n`.
async fn follow(tail: &mut (dyn sse_node::broker::Tail + '_), n: usize) -> Vec<Event> {
    let mut got = Vec::new();
    while got.len() < n {
        match tail.next().await.unwrap() {
            Tailed::Events(events) => got.extend(events),
            Tailed::Reset(extent) => panic!("a reset out of nowhere: {extent:?}"),
        }
    }
    got
}

async fn keeps_the_contract(broker: Arc<dyn Broker>) {
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
    assert_eq!(page[0], Event { position: Position::new(extent.last.epoch, 1), new: new(1) });
    assert_eq!(data(&broker.read_after(page[2].position, 10).await.unwrap()), ["4"]);
    assert_eq!(broker.read_after(extent.last, 10).await.unwrap(), []);

    // A tail begins right after its position, and waits for what is not there yet.
    let mut tail = broker.tail(page[1].position);
    assert_eq!(data(&follow(&mut *tail, 2).await), ["3", "4"]);
    let (events, _) = tokio::join!(follow(&mut *tail, 2), append(&*broker, 5..=6));
    assert_eq!(data(&events), ["5", "6"]);
    drop(tail);

    // What was put in comes out, byte for byte.
    let odd = NewEvent { topic: "ü/#".into(), event: None, data: "a\r\n\u{feff}\"'\\ 😀".into() };
    let position = broker.append(vec![odd.clone()]).await.unwrap()[0];
    assert_eq!(broker.read_after(position.before(), 1).await.unwrap(), [Event { position, new: odd }]);

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
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    keeps_the_contract(Arc::new(Memory::new(MAX_EVENTS))).await;
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

#[tokio::test]
async fn a_killed_redis_loses_nothing_it_acknowledged_and_the_tail_goes_on() {
    let mut server = Server::start().await;
    let broker = redis(&server);
    let begin = broker.open().await.unwrap().last;
    let mut tail = broker.tail(begin);
    append(&broker, 1..=2).await;
    follow(&mut *tail, 2).await;

    server.kill().await;
    assert!(matches!(broker.append(vec![new(0)]).await, Err(BrokerError::Away(_))));
    assert!(matches!(tail.next().await, Err(BrokerError::Away(_))));
    server.restart().await;

    assert_eq!(seqs(&append(&broker, [3]).await), [3]);
    assert_eq!(data(&follow(&mut *tail, 1).await), ["3"]);
    assert_eq!(data(&broker.read_after(begin, 10).await.unwrap()), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_log_that_was_lost_begins_anew_and_says_so() {
    let server = Server::start().await;
    let broker = redis(&server);
    let before = broker.open().await.unwrap();
    let mut tail = broker.tail(before.last);
    append(&broker, 1..=5).await;
    follow(&mut *tail, 5).await;

    server.command(&["FLUSHALL"]).await;
    let positions = append(&broker, [6]).await;
    assert!(positions[0].epoch > before.last.epoch);
    assert_eq!(positions[0].seq, 1);
    // The tail may see the reset, or the event of the new epoch at once; never an event of the old one.
    let news = tail.next().await.unwrap();
    match news {
        Tailed::Reset(extent) => assert_eq!(extent.last.epoch, positions[0].epoch),
        Tailed::Events(events) => assert_eq!(events[0].position, positions[0]),
    }
}

#[tokio::test]
async fn a_log_that_is_deleted_while_nothing_happens_is_noticed() {
    let server = Server::start().await;
    let broker = redis(&server);
    let before = broker.open().await.unwrap().last;
    let mut tail = broker.tail(before);
    let (news, ()) = tokio::join!(tail.next(), async {
        server.command(&["DEL", "ssefleet:default/quotes"]).await;
    });
    assert!(matches!(news.unwrap(), Tailed::Reset(extent) if extent.last.epoch > before.epoch && extent.last.seq == 0));
}

#[tokio::test]
async fn a_log_that_lost_its_end_never_gives_those_numbers_again() {
    let server = Server::start().await;
    let broker = redis(&server);
    let positions = append(&broker, 1..=5).await;
    let mut tail = broker.tail(positions[0].before());
    follow(&mut *tail, 5).await;

    // As a Redis that lost power comes back: the log is there, without what was not yet on the disk.
    let key = "ssefleet:default/quotes";
    for lost in &positions[3..] {
        server.command(&["XDEL", key, &format!("{}-{}", lost.epoch, lost.seq)]).await;
    }
    server.command(&["XSETID", key, &format!("{}-3", positions[0].epoch)]).await;

    let extent = broker.open().await.unwrap();
    assert!(extent.last.epoch > positions[4].epoch);
    assert_eq!(append(&broker, [6]).await, [extent.next()]);
}

#[tokio::test]
async fn a_full_redis_refuses_and_keeps_what_it_has() {
    let server = Server::start().await;
    let broker = redis(&server);
    append(&broker, [1]).await;
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = broker.append(vec![new(2)]).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Full), "{refused}");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(seqs(&append(&broker, [3]).await), [2]);
}

#[tokio::test]
async fn a_key_that_is_something_else_is_left_alone() {
    let server = Server::start().await;
    server.command(&["SET", "ssefleet:default/quotes", "mine"]).await;
    let refused = redis(&server).open().await.unwrap_err();
    assert!(matches!(refused, BrokerError::Refused(_)), "{refused}");
    assert_eq!(server.command(&["GET", "ssefleet:default/quotes"]).await, "mine");
}

#[tokio::test]
async fn a_password_is_read_anew_at_each_connection() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "first\n").unwrap();
    server.command(&["CONFIG", "SET", "requirepass", "first"]).await;
    let address = |password: &PathBuf| Address { password: Some(password.clone()), ..address(&server) };
    let broker = Redis::new(address(&password), "k".into(), MAX_EVENTS);
    append(&broker, [1]).await;

    server.command_with_password("first", &["CONFIG", "SET", "requirepass", "second"]).await;
    std::fs::write(&password, "second\n").unwrap();
    server.command_with_password("second", &["CLIENT", "KILL", "TYPE", "normal"]).await;
    // The connection that was killed is found out by the first command that uses it.
    let _ = broker.open().await;
    assert_eq!(seqs(&append(&broker, [2]).await), [2]);

    let wrong = Redis::new(address(&dir.path().join("none")), "k".into(), MAX_EVENTS);
    assert!(wrong.open().await.unwrap_err().to_string().contains("can't be read"));
}

#[tokio::test]
async fn redis_is_reached_by_tls_with_an_authority_of_ones_own() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server::start_tls().await;
    let trusted = Address { ca: Some(server.authority()), ..address(&server) };
    let broker = Redis::new(trusted, "k".into(), MAX_EVENTS);
    assert_eq!(seqs(&append(&broker, [1]).await), [1]);

    let untrusted = Redis::new(address(&server), "k".into(), MAX_EVENTS);
    assert!(untrusted.open().await.is_err());
}
