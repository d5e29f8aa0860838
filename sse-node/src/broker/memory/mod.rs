//! The log in the node's own memory: for one node, tests and laptops. It ends with the process.

mod log;
mod once;

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;

use self::{log::Log, once::Memo};
use super::{
    Appended, Broadcasts, Broker, BrokerError, Extent, Once, Retention, Tail, Tailed,
    clock::Clock,
    revocation::{Found, MOST, Mark, Revocation},
};
use crate::event::{Event, NewEvent, Position};

/// Events read at a time.
const PAGE: usize = 512;

/// A log in memory.
pub struct Memory {
    kept: Mutex<Kept>,
    last: watch::Sender<Position>,
    clock: Clock,
}

/// What one lock holds, so that an append and its memo are one.
struct Kept {
    log: Log,
    memo: Memo,
    revocations: VecDeque<Revocation>,
    /// Revocations that are over, and no longer kept.
    over: usize,
}

impl Memory {
    pub fn new(retention: Retention) -> Self {
        Self::with_clock(retention, Clock::default())
    }

    pub fn with_clock(retention: Retention, clock: Clock) -> Self {
        let begin = Position::new(clock.now(), 0);
        let kept =
            Kept { log: Log::new(begin, retention), memo: Memo::default(), revocations: VecDeque::new(), over: 0 };
        Self { kept: Mutex::new(kept), last: watch::Sender::new(begin), clock }
    }

    fn read(&self, after: Position, limit: usize) -> Vec<Event> {
        let mut kept = self.kept.lock();
        kept.log.trim(self.clock.now());
        kept.log.read(after, limit)
    }

    fn push(&self, log: &mut Log, batch: Vec<NewEvent>) -> Vec<Position> {
        let now = self.clock.now();
        let positions = batch.into_iter().map(|new| log.push(new, now)).collect();
        log.trim(now);
        self.last.send_replace(log.last());
        positions
    }
}

impl Broker for Memory {
    fn open(&self) -> BoxFuture<'_, Result<Extent, BrokerError>> {
        let mut kept = self.kept.lock();
        kept.log.trim(self.clock.now());
        let extent = kept.log.extent();
        Box::pin(async move { Ok(extent) })
    }

    fn append(&self, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Position>, BrokerError>> {
        let positions = self.push(&mut self.kept.lock().log, batch);
        Box::pin(async move { Ok(positions) })
    }

    fn append_once(&self, once: Once, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Appended, BrokerError>> {
        let mut kept = self.kept.lock();
        let Kept { log, memo, .. } = &mut *kept;
        let now = self.clock.now();
        let appended = memo.recall(&once, now).unwrap_or_else(|| {
            let positions = self.push(log, batch);
            memo.keep(once, positions.clone(), now);
            Appended::Stored(positions)
        });
        Box::pin(async move { Ok(appended) })
    }

    fn read_after(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, BrokerError>> {
        let events = self.read(after, limit);
        Box::pin(async move { Ok(events) })
    }

    fn tail(&self, after: Position) -> Box<dyn Tail + '_> {
        Box::new(Follower { memory: self, news: self.last.subscribe(), after })
    }

    fn retain(&self, retention: Retention) {
        self.kept.lock().log.retain(retention, self.clock.now());
    }

    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> BoxFuture<'a, Result<(), BrokerError>> {
        let mut kept = self.kept.lock();
        let now = self.clock.now() / 1000;
        while kept.revocations.front().is_some_and(|first| first.until <= now) {
            kept.revocations.pop_front();
            kept.over += 1;
        }
        let added = if kept.revocations.len() < MOST {
            kept.revocations.push_back(revocation.clone());
            Ok(())
        } else {
            Err(BrokerError::ManyRevocations)
        };
        Box::pin(async move { added })
    }

    /// A mark is how many there were.
    fn revocations<'a>(&'a self, after: &'a Mark) -> BoxFuture<'a, Result<Found, BrokerError>> {
        let kept = self.kept.lock();
        let known: usize = after.0.parse().unwrap_or(0);
        let revocations = kept.revocations.iter().skip(known.saturating_sub(kept.over)).cloned().collect();
        let mark = Mark((kept.over + kept.revocations.len()).to_string());
        let found = Found { revocations, mark, lost: false };
        Box::pin(async move { Ok(found) })
    }

    fn broadcasts(&self, _: &str, _: usize) -> Option<Box<dyn Broadcasts + '_>> {
        None
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
