//! Serving those who lack something: from the ring, from pages of older events, or, where neither has it, with
//! a word on what is missing. Each gets its share and goes to the end of the queue, so that nobody waits for
//! one who lacks much.

use bytes::{Buf, Bytes};
use ssefleet_crds::connections::SlowConsumer;

use super::{
    Audience, BATCH, Sink, State,
    next::{Next, Told, begin_anew, next},
    subscriber::put,
};
use crate::{
    encode,
    fanout::{clock::Tick, index::Key, page::Found, ring::Entry},
    metrics::{Closed, Memory},
};

/// Writes to one connection before it is the next one's turn.
const SHARE: usize = 8;

impl<S: Sink> Audience<S> {
    /// Serves some of those who can be written to.
    pub fn catch_up(&mut self, now: Tick) {
        for _ in 0..self.ready.len().min(BATCH) {
            let Some(key) = self.ready.pop_front() else { break };
            if let Some(subscriber) = self.get_mut(key)
                && let State::Behind(behind) = &mut subscriber.state
            {
                behind.queued = false;
                if let Err(why) = self.serve(key, now) {
                    self.leave(key, why);
                }
            }
        }
        self.watch_blocked(now);
    }

    /// The socket takes more.
    pub fn writable(&mut self, key: Key, now: Tick) {
        let lag = self.lag(key, now);
        let (slow, max_lag) = (self.timing.slow, self.timing.max_lag);
        let Some(subscriber) = self.get_mut(key) else { return };
        let State::Behind(behind) = &mut subscriber.state else { return };
        if !std::mem::take(&mut behind.blocked) {
            return;
        }
        if lag > max_lag && slow == SlowConsumer::LatestPerTopic {
            behind.conflating = true;
        }
        if lag > max_lag && slow == SlowConsumer::SkipToLatest {
            behind.skipping = true;
        }
        self.queue(key);
    }

    /// What was asked for on someone's behalf.
    pub fn found(&mut self, key: Key, found: Found) {
        let head = self.ring.read().head();
        let Some(subscriber) = self.get_mut(key) else { return };
        let State::Behind(behind) = &mut subscriber.state else { return };
        behind.asked = false;
        match found {
            Found::Page(page) => {
                behind.nothing_older = page.after(behind.cursor).is_empty();
                behind.page = Some(page);
            }
            Found::Extent(extent) => {
                let Some(next) = begin_anew(behind.cursor, extent, head) else {
                    self.early.push(key);
                    return;
                };
                behind.cursor = next.before();
                behind.page = None;
                subscriber.told = behind.cursor.seq;
                behind.word = Some(encode::reset(next));
                self.metrics.resets.inc();
            }
            // It is looked at again when the wheel comes by.
            Found::Away => return,
        }
        self.queue(key);
    }

    /// Writes what one lacks, until its socket is full, it lacks nothing, or it has had its share.
    fn serve(&mut self, key: Key, now: Tick) -> Result<(), Closed> {
        for _ in 0..SHARE {
            let Some(subscriber) = self.subscribers.get_mut(key.slot as usize) else { return Ok(()) };
            let State::Behind(behind) = &mut subscriber.state else { return Ok(()) };
            if behind.rest.is_empty()
                && let Some(word) = behind.word.take()
            {
                behind.rest = subscriber.body.rest(&word, 0);
                subscriber.body.begun(&word);
            }
            if !behind.rest.is_empty() {
                let taken = put(&mut subscriber.sink, &behind.rest)?;
                behind.rest.advance(taken);
                subscriber.bytes += taken as u64;
                self.metrics.bytes_sent.inc_by(taken as u64);
                if taken > 0 {
                    subscriber.written = now;
                }
                if !behind.rest.is_empty() {
                    behind.blocked = true;
                    behind.page = None;
                    self.blocked.push(key);
                    return Ok(());
                }
                behind.rest = Bytes::new(); // lets go of the frame
                continue;
            }
            let next = {
                let ring = self.ring.read();
                let next = next(behind, &subscriber.topics, &ring);
                if matches!(&next, Next::Events(entries, _) if entries.first().is_some_and(|entry| entry.position >= ring.first()))
                {
                    self.metrics.replayed(Memory::Ring, 1);
                }
                next
            };
            match next {
                // The log began anew, and the shard has not heard: it will, before this one's next turn.
                Next::Live(position) if position.epoch != self.dispatched.epoch => break,
                Next::Live(position) => {
                    subscriber.seen = position.seq;
                    subscriber.state = State::Live;
                    return Ok(());
                }
                Next::Ask(need) => {
                    behind.page = None;
                    if !std::mem::replace(&mut behind.asked, true) {
                        self.asks.push((key, need));
                    }
                    return Ok(());
                }
                Next::Tell(frame, cursor, told) => {
                    behind.cursor = cursor;
                    behind.word = Some(frame);
                    subscriber.told = cursor.seq;
                    match told {
                        Told::Gap => self.metrics.gaps.inc(),
                        Told::Skipped(events) => self.metrics.skipped(self.timing.slow, events),
                    }
                }
                Next::Events(entries, upto) => {
                    behind.cursor = upto;
                    if entries.is_empty() {
                        continue;
                    }
                    let entries: arrayvec::ArrayVec<&Entry, BATCH> = entries.iter().collect();
                    let wrote = subscriber.write_frames(&entries, now)?;
                    let full = wrote.stopped.is_some();
                    if let Some((cursor, rest)) = wrote.stopped
                        && let State::Behind(behind) = &mut subscriber.state
                    {
                        behind.cursor = cursor;
                        behind.rest = rest;
                        behind.blocked = true;
                        behind.page = None;
                    }
                    self.count(wrote.events, wrote.bytes);
                    if full {
                        self.blocked.push(key);
                        return Ok(());
                    }
                }
            }
        }
        self.queue(key);
        Ok(())
    }

    /// How far a subscriber lags: how long ago it could have had the oldest event that it has not taken.
    pub(super) fn lag(&self, key: Key, now: Tick) -> u32 {
        let Some(subscriber) = self.get(key) else { return 0 };
        let State::Behind(behind) = &subscriber.state else { return 0 };
        let ring = self.ring.read();
        let arrived = match ring.after(behind.cursor) {
            Ok(mut entries) => match entries.next() {
                Some(entry) => entry.arrived,
                None if behind.rest.is_empty() => return 0,
                None => subscriber.written,
            },
            Err(_) => ring.emptied(),
        };
        now.since(arrived.max(subscriber.created))
    }
}
