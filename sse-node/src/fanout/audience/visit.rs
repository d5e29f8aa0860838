//! Looking at a connection when the wheel says so: signs of life, and the ends that time brings.

use bytes::Bytes;
use ssefleet_crds::connections::SlowConsumer;

use super::{Audience, Behind, Sink, State, subscriber::put};
use crate::{
    encode,
    event::Position,
    fanout::{clock::Tick, index::Key},
    metrics::Closed,
};

/// How often one is looked at that is not as it should be: each second.
const SOON: u32 = 10;

impl<S: Sink> Audience<S> {
    /// Looks at those who are due.
    pub fn tick(&mut self, now: Tick) {
        let mut due = Vec::new();
        self.wheel.take(now, &mut due);
        for key in due {
            // Who was put forward is in the wheel a second time, for nothing.
            if self.get(key).is_none_or(|subscriber| subscriber.due > now) {
                continue;
            }
            match self.visit(key, now) {
                Ok(Some(next)) => self.look_at(key, next),
                Ok(None) => {}
                Err(why) => self.dismiss(key, why),
            }
        }
        self.watch_blocked(now);
    }

    pub(super) fn look_at(&mut self, key: Key, due: Tick) {
        if let Some(subscriber) = self.get_mut(key) {
            subscriber.due = due;
            self.wheel.put(key, due);
        }
    }

    /// Those whose sockets have filled up are looked at soon.
    pub(super) fn watch_blocked(&mut self, now: Tick) {
        let soon = now.after(SOON);
        while let Some(key) = self.blocked.pop() {
            if self.get(key).is_some_and(|subscriber| subscriber.due > soon) {
                self.look_at(key, soon);
            }
        }
    }

    /// When to look again.
    fn visit(&mut self, key: Key, now: Tick) -> Result<Option<Tick>, Closed> {
        let lag = self.lag(key, now);
        let (timing, dispatched) = (self.timing, self.dispatched);
        let Some(subscriber) = self.get_mut(key) else { return Ok(None) };
        if now >= subscriber.expires {
            return Err(Closed::MaxAge);
        }
        if let State::Behind(behind) = &subscriber.state {
            if behind.blocked {
                if now.since(subscriber.written) >= timing.stale_after {
                    return Err(Closed::Stale);
                }
                if lag > timing.max_lag && timing.slow == SlowConsumer::Disconnect {
                    return Err(Closed::Lagging);
                }
                return Ok(Some(now.after(SOON)));
            }
            if behind.rest.is_empty() && now.since(subscriber.written) >= timing.heartbeat {
                self.beat(key, None, now)?;
            }
            // Perhaps what it needs can be had by now.
            self.queue(key);
            return Ok(Some(now.after(SOON)));
        }
        if now.since(subscriber.written) >= timing.heartbeat {
            let position = Position { seq: dispatched.seq.max(subscriber.seen), ..dispatched };
            let moved = position.seq > subscriber.told;
            self.beat(key, moved.then_some(position), now)?;
        }
        let Some(subscriber) = self.get(key) else { return Ok(None) };
        Ok(Some(subscriber.written.after(timing.heartbeat).min(subscriber.expires)))
    }

    /// A sign of life, with the position if it is news to the client.
    fn beat(&mut self, key: Key, position: Option<Position>, now: Tick) -> Result<(), Closed> {
        let dispatched = self.dispatched;
        let Some(subscriber) = self.get_mut(key) else { return Ok(()) };
        let frame = encode::heartbeat(position);
        let text = frame.bytes(subscriber.framing);
        let taken = put(&mut subscriber.sink, text)?;
        subscriber.bytes += taken as u64;
        if taken > 0 {
            subscriber.written = now;
            if let Some(position) = position {
                subscriber.told = position.seq;
            }
        }
        if taken < text.len() {
            let rest = if taken == 0 { Bytes::new() } else { frame.rest(subscriber.framing, taken) };
            match &mut subscriber.state {
                State::Live => {
                    let cursor = Position { seq: dispatched.seq.max(subscriber.seen), ..dispatched };
                    let mut behind = Behind::new(cursor, rest);
                    behind.blocked = true;
                    subscriber.state = State::Behind(Box::new(behind));
                }
                State::Behind(behind) => {
                    behind.rest = rest;
                    behind.blocked = true;
                }
            }
            self.blocked.push(key);
        }
        self.metrics.bytes_sent.inc_by(taken as u64);
        Ok(())
    }
}
