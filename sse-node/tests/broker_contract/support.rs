//! Brokers to test, and what every test asks of them.

use sse_node::{
    broker::{
        Broker, Retention, Tail, Tailed,
        clock::Clock,
        redis::{Address, Redis},
    },
    event::{Event, NewEvent, Position},
};
use ssefleet_tests::redis::Server;

pub const MAX_EVENTS: usize = 100;
pub const KEY: &str = "ssefleet:default/quotes";

pub fn new(data: u32) -> NewEvent {
    NewEvent { topic: "t".into(), event: Some("e".into()), data: data.to_string(), ttl: None }
}

pub fn address(server: &Server) -> Address {
    Address::new(server.url())
}

pub fn redis(server: &Server) -> Redis {
    Redis::new(address(server), KEY.into(), Retention::of_events(MAX_EVENTS))
}

/// Of a node whose clock shows this.
pub fn redis_at(server: &Server, now: u64) -> Redis {
    Redis::with_clock(address(server), KEY.into(), Retention::of_events(MAX_EVENTS), Clock::new(move || now))
}

pub fn seqs(positions: &[Position]) -> Vec<u64> {
    positions.iter().map(|position| position.seq).collect()
}

pub fn data(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.new.data.clone()).collect()
}

pub async fn append(broker: &dyn Broker, events: impl IntoIterator<Item = u32>) -> Vec<Position> {
    broker.append(events.into_iter().map(new).collect()).await.unwrap()
}

/// All that the log holds of its newest epoch.
pub async fn all(broker: &dyn Broker) -> Vec<Event> {
    let last = broker.open().await.unwrap().last;
    broker.read_after(Position { seq: 0, ..last }, usize::MAX >> 1).await.unwrap()
}

/// All events that a tail gives until it has given `n`.
pub async fn follow(tail: &mut (dyn Tail + '_), n: usize) -> Vec<Event> {
    let mut got = Vec::new();
    while got.len() < n {
        match tail.next().await.unwrap() {
            Tailed::Events(events) => got.extend(events),
            Tailed::Reset(extent) => panic!("a reset out of nowhere: {extent:?}"),
        }
    }
    got
}

/// What a tail gives next, whatever becomes of its connection meanwhile.
pub async fn news(tail: &mut (dyn Tail + '_)) -> Tailed {
    loop {
        match tail.next().await {
            Ok(news) => return news,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}
