//! Looking at a connection when the wheel says so: signs of life, and the ends that time brings.

use bytes::Bytes;
use ssefleet_crds::connections::SlowConsumer;

use super::{Audience, Behind, Sink, State, Subscriber, subscriber::put};
use crate::{
    encode::{self, Frame},
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
                Ok(Some(next)) => {
                    let deadline = self.get(key).map_or(next, Subscriber::deadline);
                    self.look_at(key, next.min(deadline).max(now.after(1)));
                }
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
        if self.get(key).is_some_and(Subscriber::is_blocked) {
            self.metrics.lag.observe(f64::from(lag) / 10.0);
        }
        let Some(subscriber) = self.get_mut(key) else { return Ok(None) };
        if now >= subscriber.expires {
            return Err(subscriber.why_over());
        }
        if let Some(lapse) = subscriber.tie.as_ref().and_then(|tie| tie.lapse)
            && lapse.warns.is_some_and(|warns| now >= warns)
        {
            self.warn(key, lapse.seconds_left(now), now)?;
        }
        let Some(subscriber) = self.get_mut(key) else { return Ok(None) };
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
        Ok(Some(subscriber.written.after(timing.heartbeat)))
    }

    /// Says that the token is about to end; or, to one who is behind, when what was begun is written.
    fn warn(&mut self, key: Key, seconds: u64, now: Tick) -> Result<(), Closed> {
        let dispatched = self.dispatched;
        let Some(subscriber) = self.get_mut(key) else { return Ok(()) };
        let live = Position { seq: dispatched.seq.max(subscriber.seen), ..dispatched };
        let is_told = match &mut subscriber.state {
            State::Live => {
                let frame = encode::token_expiring(live, seconds);
                self.say(key, &frame, Some(live), now)?;
                // A socket that took nothing of it gets it when it takes more.
                if let Some(State::Behind(behind)) = self.get_mut(key).map(|subscriber| &mut subscriber.state)
                    && behind.rest.is_empty()
                {
                    behind.word = Some(frame);
                }
                true
            }
            State::Behind(behind) if behind.word.is_none() => {
                behind.word = Some(encode::token_expiring(behind.cursor, seconds));
                subscriber.told = behind.cursor.seq;
                true
            }
            // After the word that it is about to get.
            State::Behind(_) => false,
        };
        if is_told && let Some(lapse) = self.get_mut(key).and_then(|subscriber| subscriber.tie.as_mut()?.lapse.as_mut())
        {
            lapse.warns = None;
        }
        Ok(())
    }

    /// A sign of life, with the position if it is news to the client.
    fn beat(&mut self, key: Key, position: Option<Position>, now: Tick) -> Result<(), Closed> {
        self.say(key, &encode::heartbeat(position), position, now)
    }

    /// Writes something that has no place in the log, to one who is between two frames.
    fn say(&mut self, key: Key, frame: &Frame, position: Option<Position>, now: Tick) -> Result<(), Closed> {
        let dispatched = self.dispatched;
        let Some(subscriber) = self.get_mut(key) else { return Ok(()) };
        let text = subscriber.body.bytes(frame);
        let taken = put(&mut subscriber.sink, text)?;
        let length = text.len();
        subscriber.bytes += taken as u64;
        if taken > 0 {
            subscriber.written = now;
            subscriber.body.begun(frame);
            if let Some(position) = position {
                subscriber.told = position.seq;
            }
        }
        if taken < length {
            let rest = if taken == 0 { Bytes::new() } else { subscriber.body.rest(frame, taken) };
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
