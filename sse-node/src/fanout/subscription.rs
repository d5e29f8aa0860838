//! One subscriber: a cursor, its topics, and the bytes that follow from them.
//!
//! There is no queue: [`Subscription::next`] is asked for more only when the socket takes more, and reads the
//! ring from the cursor. Whoever is so slow that the ring has moved on is served from the broker, in pages;
//! what the broker has no longer is told by `event: gap`.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::watch, time::Instant};
use tracing::warn;

use super::{hub::Hub, ring::Read, topics::Topics};
use crate::{
    drain::Drain,
    encode,
    event::Position,
    metrics::{Closed, Metrics},
};

/// Frames taken from the ring at a time.
const BATCH: usize = 64;
/// Events read from the broker at a time.
const PAGE: usize = 512;

/// One subscriber.
pub struct Subscription {
    hub: Arc<Hub>,
    drain: Arc<Drain>,
    metrics: Metrics,
    topics: Topics,
    /// All up to here has been given to the socket, or is in `pending`.
    cursor: Position,
    /// The last position that the client was told, by an event or a heartbeat.
    told: Position,
    pending: VecDeque<Bytes>,
    head: watch::Receiver<Option<Position>>,
    heartbeat: Heartbeat,
    retry: Duration,
    ended: Option<Closed>,
}

struct Heartbeat {
    interval: Duration,
    due: Instant,
}

/// Where a subscriber begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what comes from now on.
    Now,
    /// After the event that it saw last.
    After(Position),
    /// It sent an id that is none of ours.
    Unknown,
}

impl Subscription {
    /// None while the log has never been open: there is no position to begin at.
    pub fn begin(
        hub: Arc<Hub>,
        drain: Arc<Drain>,
        metrics: Metrics,
        topics: Topics,
        start: Start,
        timing: &ssefleet_crds::validated::Connections,
    ) -> Option<Self> {
        let head = hub.head();
        let now = (*head.borrow())?;
        let cursor = match start {
            Start::Now | Start::Unknown => now,
            Start::After(position) => position,
        };
        let retry = jitter(timing.retry);
        let mut pending = VecDeque::new();
        match start {
            Start::Unknown => {
                metrics.resets.inc();
                pending.extend([encode::greeting(retry, now), encode::reset(Position { seq: now.seq + 1, ..now })]);
            }
            _ => pending.push_back(encode::greeting(retry, cursor)),
        }
        metrics.opened(start != Start::Now);
        let heartbeat =
            Heartbeat { interval: timing.heartbeat_interval, due: Instant::now() + timing.heartbeat_interval };
        Some(Self { hub, drain, metrics, topics, cursor, told: cursor, pending, head, heartbeat, retry, ended: None })
    }

    /// The next bytes for the socket; none when the stream is over.
    pub async fn next(&mut self) -> Option<Bytes> {
        if self.ended.is_some() {
            return None;
        }
        let bytes = self.produce().await;
        self.heartbeat.due = Instant::now() + self.heartbeat.interval;
        self.metrics.bytes_sent.inc_by(bytes.len() as u64);
        Some(bytes)
    }

    async fn produce(&mut self) -> Bytes {
        loop {
            if let Some(bytes) = self.pending.pop_front() {
                return bytes;
            }
            self.head.mark_unchanged();
            match self.hub.read(self.cursor, &self.topics, BATCH) {
                Read::Upto(cursor, frames) if cursor != self.cursor => {
                    self.advance(cursor, frames);
                    continue;
                }
                Read::Upto(..) => {}
                Read::Older { first } => {
                    if self.catch_up(first).await {
                        continue;
                    }
                }
                Read::OtherEpoch => {
                    if self.begin_anew().await {
                        continue;
                    }
                }
            }
            tokio::select! {
                _ = self.head.changed() => {}
                () = self.drain.turn_to_close() => {
                    self.ended = Some(Closed::Drained);
                    return encode::farewell(jitter(self.retry), "this node is about to stop; reconnect to another");
                }
                () = tokio::time::sleep_until(self.heartbeat.due) => {
                    let moved = (self.cursor != self.told).then_some(self.cursor);
                    self.told = self.cursor;
                    return encode::heartbeat(moved);
                }
            }
        }
    }

    fn advance(&mut self, cursor: Position, frames: Vec<Bytes>) {
        self.metrics.events_sent.inc_by(frames.len() as u64);
        if !frames.is_empty() {
            self.told = cursor;
        }
        self.cursor = cursor;
        self.pending.extend(frames);
    }

    /// Reads a page of what is older than the ring from the broker. False when the broker is away: then the
    /// subscriber waits, and gets heartbeats, until something changes.
    async fn catch_up(&mut self, first: Position) -> bool {
        let page = match self.hub.broker().read_after(self.cursor, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                warn!(%error, "a subscriber waits for older events");
                return false;
            }
        };
        self.metrics.replays.inc();
        // The log has let go of what this subscriber wants next: it goes on with what there is.
        let next = page.first().map_or(first, |event| event.position);
        if next.epoch != self.cursor.epoch {
            return self.begin_anew().await;
        }
        if next.seq > self.cursor.seq + 1 {
            let missed = next.seq - self.cursor.seq - 1;
            self.metrics.gaps.inc();
            self.pending.push_back(encode::gap(missed, next));
            self.cursor = next.before();
        }
        if let Some(last) = page.last().map(|event| event.position) {
            let wanted = page.iter().filter(|event| self.topics.want(&event.new.topic));
            let frames = wanted.map(encode::event).collect();
            self.advance(last, frames);
        }
        true
    }

    /// The cursor is of a log that is no more: say so, and go on from the beginning of the one there is, as
    /// this subscriber has seen nothing of it.
    async fn begin_anew(&mut self) -> bool {
        let extent = match self.hub.broker().open().await {
            Ok(extent) => extent,
            Err(error) => {
                warn!(%error, "a subscriber of an earlier log waits");
                return false;
            }
        };
        if extent.last.epoch == self.cursor.epoch && extent.last.seq >= self.cursor.seq {
            // It has seen more of the log, by way of another node, than has come here yet.
            return false;
        }
        // Of a later log it has seen nothing; of this one, a position that is yet to come was never given.
        let next = if extent.last.epoch == self.cursor.epoch { extent.next() } else { extent.first };
        self.metrics.resets.inc();
        self.pending.push_back(encode::reset(next));
        self.cursor = next.before();
        self.told = self.cursor;
        true
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.metrics.closed(self.ended.unwrap_or(Closed::ByClient));
    }
}

/// Within ±50 %, so that those who lose their connections together do not come back together.
fn jitter(time: Duration) -> Duration {
    time.mul_f64(0.5 + fastrand::f64())
}
