//! The log in the node's own memory: for one node, tests and laptops. It ends with the process.

use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::{Broker, BrokerError, Extent, Tail, Tailed};
use crate::event::{Event, NewEvent, Position};

/// Events read at a time.
const PAGE: usize = 512;
/// The most that the log holds, in bytes of data, so that large events can't fill the pod.
const MAX_BYTES: usize = 128 << 20;

/// A log in memory.
pub struct Memory {
    log: RwLock<Log>,
    last: watch::Sender<Position>,
    max_events: usize,
}

struct Log {
    events: VecDeque<Event>,
    bytes: usize,
    last: Position,
}

impl Memory {
    pub fn new(max_events: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let last = Position::new(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), 0);
        let log = Log { events: VecDeque::new(), bytes: 0, last };
        Self { log: RwLock::new(log), last: watch::Sender::new(last), max_events }
    }

    fn read(&self, after: Position, limit: usize) -> Vec<Event> {
        let log = self.log.read();
        let from = log.events.partition_point(|event| event.position <= after);
        log.events.range(from..).take(limit).cloned().collect()
    }
}

impl Broker for Memory {
    fn open(&self) -> BoxFuture<'_, Result<Extent, BrokerError>> {
        let log = self.log.read();
        let next = Position { seq: log.last.seq + 1, ..log.last };
        let first = log.events.front().map_or(next, |event| event.position);
        let extent = Extent { first, last: log.last };
        Box::pin(async move { Ok(extent) })
    }

    fn append(&self, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Position>, BrokerError>> {
        let mut positions = Vec::with_capacity(batch.len());
        let mut log = self.log.write();
        for new in batch {
            log.last.seq += 1;
            log.bytes += new.data.len();
            positions.push(log.last);
            let position = log.last;
            log.events.push_back(Event { position, new });
            while log.events.len() > self.max_events || (log.bytes > MAX_BYTES && log.events.len() > 1) {
                if let Some(oldest) = log.events.pop_front() {
                    log.bytes -= oldest.new.data.len();
                }
            }
        }
        self.last.send_replace(log.last);
        drop(log);
        Box::pin(async move { Ok(positions) })
    }

    fn read_after(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, BrokerError>> {
        let events = self.read(after, limit);
        Box::pin(async move { Ok(events) })
    }

    fn tail(&self, after: Position) -> Box<dyn Tail + '_> {
        Box::new(Follower { memory: self, news: self.last.subscribe(), after })
    }
}

struct Follower<'a> {
    memory: &'a Memory,
    news: watch::Receiver<Position>,
    after: Position,
}

impl Tail for Follower<'_> {
    fn next(&mut self) -> BoxFuture<'_, Result<Tailed, BrokerError>> {
        Box::pin(async move {
            loop {
                self.news.mark_unchanged();
                let events = self.memory.read(self.after, PAGE);
                if let Some(last) = events.last() {
                    self.after = last.position;
                    return Ok(Tailed::Events(events));
                }
                // The sender lives as long as `memory`, which this borrows.
                let _ = self.news.changed().await;
            }
        })
    }
}
