//! What becomes of new events: to each who is live and wants one, at once.

use bytes::Bytes;

use super::{Audience, BATCH, BATCH_BYTES, Behind, Sink, State, key, subscriber::put};
use crate::{
    broker::clock,
    encode::Frame,
    event::Position,
    fanout::{clock::Tick, index::Key, ring::Entry},
};

impl<S: Sink> Audience<S> {
    /// Gives the newest events to those who are live and want them. True if there are more.
    pub fn dispatch(&mut self, now: Tick) -> bool {
        let ring = self.ring.read();
        let head = ring.head();
        let taken = ring.after(self.dispatched).map(|entries| {
            let mut bytes = 0;
            self.batch.extend(
                entries
                    .take(BATCH)
                    .take_while(|entry| {
                        bytes += entry.frame.size();
                        bytes <= BATCH_BYTES || bytes == entry.frame.size()
                    })
                    .cloned(),
            );
        });
        drop(ring);
        if taken.is_err() {
            self.everyone_is_behind();
            self.dispatched = head;
            self.queue_early();
            return false;
        }
        let mut batch = std::mem::take(&mut self.batch);
        match &*batch {
            [] => {}
            [one] => self.give(one, now),
            several => self.give_all(several, now),
        }
        if let Some(last) = batch.last() {
            self.time(&batch);
            self.dispatched = last.position;
            self.queue_early();
            self.watch_blocked(now);
        }
        batch.clear();
        self.batch = batch;
        self.dispatched != head
    }

    /// How long these took to come here and out. Once for all subscribers, who get an event together.
    fn time(&self, entries: &[Entry]) {
        if self.subscribers.is_empty() {
            return;
        }
        let now = clock::now();
        for entry in entries {
            let millis = u32::try_from(now.saturating_sub(entry.at)).unwrap_or(u32::MAX);
            self.metrics.publish_latency.observe(f64::from(millis) / 1000.0);
        }
    }

    /// One event, one write for each who gets it.
    fn give(&mut self, entry: &Entry, now: Tick) {
        let seq = entry.position.seq;
        let (mut sent, mut bytes) = (0, 0);
        for key in self.index.wanting(&entry.topic) {
            let Some(subscriber) = self.subscribers.get_mut(key.slot as usize) else { continue };
            if subscriber.generation != key.generation || subscriber.seen >= seq || !subscriber.is_live() {
                continue;
            }
            let frame = subscriber.body.bytes(&entry.frame);
            let taken = match put(&mut subscriber.sink, frame) {
                Ok(taken) => taken,
                Err(why) => {
                    self.failed.push((key, why));
                    continue;
                }
            };
            bytes += taken as u64;
            subscriber.bytes += taken as u64;
            if taken == 0 {
                subscriber.block(entry.position.before(), Bytes::new());
                self.blocked.push(key);
                continue;
            }
            let length = frame.len();
            sent += 1;
            subscriber.wrote(entry, now);
            if taken < length {
                let rest = subscriber.body.rest(&entry.frame, taken);
                subscriber.block(entry.position, rest);
                self.blocked.push(key);
            }
        }
        self.count(sent, bytes);
        self.drop_failed();
    }

    /// Several events at once, one write for each who gets any of them.
    fn give_all(&mut self, entries: &[Entry], now: Tick) {
        let mut who: Vec<Key> = Vec::new();
        for entry in entries {
            for key in self.index.wanting(&entry.topic) {
                if let Some(subscriber) = self.subscribers.get_mut(key.slot as usize)
                    && subscriber.generation == key.generation
                    && subscriber.seen < entry.position.seq
                    && subscriber.is_live()
                    && !std::mem::replace(&mut subscriber.listed, true)
                {
                    who.push(key);
                }
            }
        }
        let (mut sent, mut bytes) = (0, 0);
        for key in who {
            let Some(subscriber) = self.subscribers.get_mut(key.slot as usize) else { continue };
            subscriber.listed = false;
            let seen = subscriber.seen;
            let topics = &subscriber.topics;
            let wanted = entries.iter().filter(|entry| entry.position.seq > seen && topics.want(&entry.topic));
            let wanted: arrayvec::ArrayVec<&Entry, BATCH> = wanted.collect();
            match subscriber.write_frames(&wanted, now) {
                Ok(wrote) => {
                    sent += wrote.events;
                    bytes += wrote.bytes;
                    if let Some((cursor, rest)) = wrote.stopped {
                        subscriber.block(cursor, rest);
                        self.blocked.push(key);
                    }
                }
                Err(why) => self.failed.push((key, why)),
            }
        }
        self.count(sent, bytes);
        self.drop_failed();
    }

    /// Something for everyone who is live, with no place in the log. Others miss it.
    pub fn broadcast(&mut self, frame: &Frame, now: Tick) {
        let (mut bytes, mut missed) = (0, 0);
        for (slot, subscriber) in &mut self.subscribers {
            if !subscriber.is_live() {
                missed += 1;
                continue;
            }
            let text = subscriber.body.bytes(frame);
            let taken = match put(&mut subscriber.sink, text) {
                Ok(taken) => taken,
                Err(why) => {
                    self.failed.push((key(slot, subscriber.generation), why));
                    continue;
                }
            };
            bytes += taken as u64;
            subscriber.bytes += taken as u64;
            let length = text.len();
            if taken > 0 {
                subscriber.written = now;
                subscriber.body.begun(frame);
            } else {
                missed += 1;
            }
            if taken < length {
                let cursor = Position { seq: self.dispatched.seq.max(subscriber.seen), ..self.dispatched };
                let rest = if taken == 0 { Bytes::new() } else { subscriber.body.rest(frame, taken) };
                subscriber.block(cursor, rest);
                self.blocked.push(key(slot, subscriber.generation));
            }
        }
        self.metrics.broadcasts_missed.inc_by(missed);
        self.count(0, bytes);
        self.drop_failed();
    }

    /// The log is not where it was: everyone finds out by its cursor what it lacks.
    fn everyone_is_behind(&mut self) {
        let mut behind = Vec::new();
        for (slot, subscriber) in &mut self.subscribers {
            if subscriber.is_live() {
                let cursor = Position { seq: self.dispatched.seq.max(subscriber.seen), ..self.dispatched };
                subscriber.state = State::Behind(Box::new(Behind::new(cursor, Bytes::new())));
                behind.push(key(slot, subscriber.generation));
            }
        }
        for key in behind {
            self.queue(key);
        }
    }
}
