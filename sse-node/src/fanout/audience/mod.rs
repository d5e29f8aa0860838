//! The subscribers of one shard, and what becomes of an event among them.
//!
//! One who has everything is live: an event goes straight to its socket, one `write` of the frame that all
//! share. One whose socket is full keeps its place in the log, and `catch_up` serves it from the ring or from
//! pages of older events when the socket takes more. There is no queue and no task for each, and nothing
//! here waits; sockets are behind [`Sink`], so that tests can try every order of things.

mod catch_up;
mod dispatch;
mod list;
mod next;
mod subscriber;
#[cfg(test)]
mod tests;
mod visit;

use std::{collections::VecDeque, sync::Arc, time::Duration};

pub use list::{Filter, Row};
use parking_lot::RwLock;
use ssefleet_crds::{connections::SlowConsumer, validated::Connections};
use subscriber::{Behind, State, Subscriber};
pub use subscriber::{Newcomer, Place, Sink};

use super::{
    clock::{Tick, ticks},
    index::{Index, Key},
    page::Need,
    ring::{Entry, Ring},
    tie::Tie,
    wheel::Wheel,
};
use crate::{
    encode,
    event::Position,
    jitter::jitter,
    metrics::{Closed, Metrics},
};

/// Events that are dispatched before the shard looks at its other work.
const BATCH: usize = 64;
/// The same in bytes, unless one event alone has more.
const BATCH_BYTES: usize = 64 << 10;

/// The subscribers of one shard.
pub struct Audience<S> {
    ring: Arc<RwLock<Ring>>,
    metrics: Metrics,
    timing: Timing,
    subscribers: slab::Slab<Subscriber<S>>,
    next_generation: u32,
    index: Index,
    wheel: Wheel,
    /// All up to here has been written to those who are live.
    dispatched: Position,
    /// Those who lack something and can be written to.
    ready: VecDeque<Key>,
    /// Those who have seen more of the log, by way of another node, than has come here yet.
    early: Vec<Key>,
    /// Those whose sockets have filled up since the wheel was last told.
    blocked: Vec<Key>,
    /// Who needs what of the log's past; the shard takes it from here.
    asks: Vec<(Key, Need)>,
    /// Whose turn it is when some are to be closed.
    next_to_close: usize,
    /// Kept between calls for their memory.
    batch: Vec<Entry>,
    failed: Vec<(Key, Closed)>,
}

/// What connections are promised, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub heartbeat: u32,
    pub stale_after: u32,
    pub max_age: u32,
    pub max_lag: u32,
    pub slow: SlowConsumer,
}

impl From<&Connections> for Timing {
    fn from(connections: &Connections) -> Self {
        Self {
            heartbeat: ticks(connections.heartbeat_interval),
            stale_after: ticks(connections.stale_after),
            max_age: ticks(connections.max_age),
            max_lag: ticks(connections.max_lag),
            slow: connections.slow_consumer,
        }
    }
}

impl<S: Sink> Audience<S> {
    pub fn new(ring: Arc<RwLock<Ring>>, metrics: Metrics, timing: Timing, now: Tick) -> Self {
        let dispatched = ring.read().head();
        Self {
            ring,
            metrics,
            timing,
            subscribers: slab::Slab::new(),
            next_generation: 0,
            index: Index::default(),
            wheel: Wheel::new(now),
            dispatched,
            ready: VecDeque::new(),
            early: Vec::new(),
            blocked: Vec::new(),
            asks: Vec::new(),
            next_to_close: 0,
            batch: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Whether someone who lacks something can be written to.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Those who are here already are held to it from the next time that they are looked at.
    pub fn retime(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// When something is due even if nothing happens.
    pub fn next_visit(&self) -> Option<Tick> {
        self.wheel.next()
    }

    /// What is needed of the log's past.
    pub fn take_asks(&mut self) -> std::vec::Drain<'_, (Key, Need)> {
        self.asks.drain(..)
    }

    /// The socket of one who is still here.
    pub fn sink(&self, key: Key) -> Option<&S> {
        self.get(key).map(|subscriber| &subscriber.sink)
    }

    /// The socket of one who is known by the id that it was told. Looks at all.
    pub fn sink_of(&mut self, id: u64) -> Option<&mut S> {
        self.subscribers
            .iter_mut()
            .find(|(_, subscriber)| subscriber.id == id)
            .map(|(_, subscriber)| &mut subscriber.sink)
    }

    pub fn join(&mut self, newcomer: Newcomer<S>, now: Tick) -> Key {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let subscriber = Subscriber::new(newcomer, generation, now, self.timing.max_age);
        let key = key(self.subscribers.vacant_key(), generation);
        self.index.join(key, &subscriber.topics);
        let due = now.after(self.timing.heartbeat).min(subscriber.deadline());
        self.subscribers.insert(subscriber);
        self.look_at(key, due);
        self.queue(key);
        key
    }

    /// The client is gone, or the connection is broken.
    pub fn leave(&mut self, key: Key, why: Closed) {
        if self.get(key).is_none() {
            return;
        }
        let subscriber = self.subscribers.remove(key.slot as usize);
        let subscribers = &self.subscribers;
        self.index.leave(&subscriber.topics, |key| {
            subscribers.get(key.slot as usize).is_some_and(|there| there.generation == key.generation)
        });
        self.metrics.closed(why);
    }

    /// Ends a stream in order, with last words if there is room for them: the client comes back after `retry`.
    fn dismiss(&mut self, key: Key, why: Closed) {
        if let Some(subscriber) = self.get_mut(key) {
            if let Some(tie) = &mut subscriber.tie {
                tie.ending(why);
            }
            let between_frames = match &subscriber.state {
                State::Live => true,
                State::Behind(behind) => behind.rest.is_empty(),
            };
            if between_frames && why != Closed::Stale {
                let retry = match why {
                    Closed::Drained => PACED,
                    _ => jitter(Duration::from_millis(subscriber.retry.into())),
                };
                let words = encode::farewell(retry, why.to_the_client());
                subscriber.sink.end(&subscriber.body.end(&words));
            }
        }
        self.leave(key, why);
    }

    /// Ends some streams, in turn; returns how many.
    pub fn close_some(&mut self, count: usize, why: Closed) -> usize {
        let mut closed = 0;
        while closed < count && !self.subscribers.is_empty() {
            if self.next_to_close >= self.subscribers.capacity() {
                self.next_to_close = 0;
            }
            let slot = self.next_to_close;
            self.next_to_close += 1;
            if let Some(generation) = self.subscribers.get(slot).map(|subscriber| subscriber.generation) {
                self.dismiss(key(slot, generation), why);
                closed += 1;
            }
        }
        closed
    }

    /// Ends the streams of those whose tie is no longer good.
    pub fn close_where(&mut self, is_over: &(dyn Fn(&Tie) -> bool + Send + Sync), why: Closed) {
        let over = self.subscribers.iter().filter(|(_, subscriber)| subscriber.tie.as_deref().is_some_and(is_over));
        let over: Vec<Key> = over.map(|(slot, subscriber)| key(slot, subscriber.generation)).collect();
        for key in over {
            self.dismiss(key, why);
        }
    }

    /// The log has come further: perhaps as far as those are who have seen more of it elsewhere.
    fn queue_early(&mut self) {
        for key in std::mem::take(&mut self.early) {
            self.queue(key);
        }
    }

    /// Puts one who lacks something in the queue of those who can be written to.
    fn queue(&mut self, key: Key) {
        if let Some(subscriber) = self.get_mut(key)
            && let State::Behind(behind) = &mut subscriber.state
            && !behind.blocked
            && !std::mem::replace(&mut behind.queued, true)
        {
            self.ready.push_back(key);
        }
    }

    fn get(&self, key: Key) -> Option<&Subscriber<S>> {
        self.subscribers.get(key.slot as usize).filter(|subscriber| subscriber.generation == key.generation)
    }

    fn get_mut(&mut self, key: Key) -> Option<&mut Subscriber<S>> {
        self.subscribers.get_mut(key.slot as usize).filter(|subscriber| subscriber.generation == key.generation)
    }

    fn count(&self, events: u64, bytes: u64) {
        self.metrics.events_sent.inc_by(events);
        self.metrics.bytes_sent.inc_by(bytes);
    }

    fn drop_failed(&mut self) {
        for (key, why) in std::mem::take(&mut self.failed) {
            self.leave(key, why);
        }
    }
}

/// Slots are fewer than file descriptors.
#[expect(clippy::cast_possible_truncation, reason = "as said")]
fn key(slot: usize, generation: u32) -> Key {
    Key { slot: slot as u32, generation }
}

/// After so long those come back who are let go of at a pace. It is the same for all of them: so they come back as evenly
/// as they went, which times by chance would spoil.
const PACED: Duration = Duration::from_secs(1);
