//! Serving those who lack something: from the ring, from pages of older events, or, where neither has it, with
//! a word on what is missing. Each gets its share and goes to the end of the queue, so that nobody waits for
//! one who lacks much.

use std::io::ErrorKind;

use bytes::{Buf, Bytes};
use ssefleet_crds::connections::SlowConsumer;

use super::{Audience, BATCH, Behind, Sink, State};
use crate::{
    broker::Extent,
    encode::{self, Frame, Missed},
    event::Position,
    fanout::{
        clock::Tick,
        index::Key,
        replay::{Found, Need},
        ring::{Entry, Off, Ring},
        topics::Topics,
    },
    metrics::Closed,
};

/// Writes to one connection before it is the next one's turn.
const SHARE: usize = 8;
/// Events looked at to find those that one subscriber wants, before it is the next one's turn.
const LOOK_AT: usize = 4096;
/// Bytes gathered for one write, unless one event alone has more.
const GATHER: usize = 64 << 10;

/// What comes next for one who lacks something.
enum Next {
    /// These, and then all up to the position has been seen to.
    Events(Vec<Entry>, Position),
    /// A word about what is missing; what is after the position comes next.
    Tell(Frame, Position, Told),
    Ask(Need),
    /// Nothing: it has everything up to here.
    Live(Position),
}

#[derive(Clone, Copy)]
enum Told {
    Gap,
    Skipped(u64),
}

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
                behind.rest = word.rest(subscriber.framing, 0);
            }
            if !behind.rest.is_empty() {
                let taken = match subscriber.sink.write(&behind.rest) {
                    Ok(taken) => taken,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(_) => return Err(Closed::Dead),
                };
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
            let next = next(behind, &subscriber.topics, &self.ring.read());
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
                    let wrote = subscriber.write_frames(&entries, now).map_err(|_| Closed::Dead)?;
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
            Err(_) => subscriber.created,
        };
        now.since(arrived.max(subscriber.created))
    }
}

fn next(behind: &mut Behind, topics: &Topics, ring: &Ring) -> Next {
    let first = match ring.after(behind.cursor) {
        Ok(_) if std::mem::take(&mut behind.skipping) => return skip(behind.cursor, topics, ring),
        Ok(entries) => return from_ring(behind, topics, ring, entries),
        Err(Off::OtherLog) => return Next::Ask(Need::Extent),
        Err(Off::Older { first }) => first,
    };
    if behind.skipping || behind.conflating {
        // Older than the ring is older than the newest.
        let missed = first.seq - behind.cursor.seq - 1;
        return Next::Tell(encode::gap(Missed::Slow(missed), first), first.before(), Told::Skipped(missed));
    }
    if std::mem::take(&mut behind.nothing_older) {
        return gap(behind.cursor, first);
    }
    let Some(page) = &behind.page else { return Next::Ask(Need::after(behind.cursor)) };
    let older = page.after(behind.cursor);
    match older.first() {
        None => Next::Ask(Need::after(behind.cursor)),
        Some(entry) if entry.position.epoch != behind.cursor.epoch => Next::Ask(Need::Extent),
        Some(entry) if entry.position.seq > behind.cursor.seq + 1 => gap(behind.cursor, entry.position),
        Some(_) => gather(behind.cursor, topics, older.iter(), |_| true).0,
    }
}

fn from_ring<'a>(behind: &Behind, topics: &Topics, ring: &Ring, entries: impl Iterator<Item = &'a Entry>) -> Next {
    if behind.cursor == ring.head() {
        return Next::Live(behind.cursor);
    }
    if !behind.conflating {
        return gather(behind.cursor, topics, entries, |_| true).0;
    }
    let (next, skipped) = gather(behind.cursor, topics, entries, |entry| ring.is_newest(entry));
    let Next::Events(kept, upto) = next else { return next };
    if skipped == 0 {
        return Next::Events(kept, upto);
    }
    // First the word; the events that are kept come with the next look, from just before them.
    let from = kept.first().map_or(upto, |entry| entry.position.before());
    Next::Tell(encode::gap(Missed::Slow(skipped), from.next()), from, Told::Skipped(skipped))
}

/// The next events of these topics.
fn gather<'a>(
    cursor: Position,
    topics: &Topics,
    entries: impl Iterator<Item = &'a Entry>,
    keep: impl Fn(&Entry) -> bool,
) -> (Next, u64) {
    let (mut upto, mut bytes, mut skipped, mut gathered) = (cursor, 0, 0, Vec::new());
    for entry in entries.take(LOOK_AT) {
        if topics.want(&entry.topic) && !entry.is_expired() {
            if keep(entry) {
                bytes += entry.frame.size();
                if !gathered.is_empty() && (bytes > GATHER || gathered.len() == BATCH) {
                    break;
                }
                gathered.push(entry.clone());
            } else if gathered.is_empty() {
                skipped += 1;
            } else {
                // What is skipped later is told later.
                break;
            }
        }
        upto = entry.position;
    }
    (Next::Events(gathered, upto), skipped)
}

/// On to the newest event of these topics.
fn skip(cursor: Position, topics: &Topics, ring: &Ring) -> Next {
    let Ok(entries) = ring.after(cursor) else { return Next::Ask(Need::Extent) };
    let (mut wanted, mut newest) = (0_u64, None);
    for entry in entries.filter(|entry| topics.want(&entry.topic)) {
        wanted += 1;
        newest = Some(entry.position);
    }
    match newest {
        Some(newest) if wanted > 1 => {
            let frame = encode::gap(Missed::Slow(wanted - 1), newest);
            Next::Tell(frame, newest.before(), Told::Skipped(wanted - 1))
        }
        Some(newest) => Next::Events(Vec::new(), newest.before()),
        None => Next::Events(Vec::new(), ring.head()),
    }
}

fn gap(cursor: Position, next: Position) -> Next {
    let missed = next.seq - cursor.seq - 1;
    Next::Tell(encode::gap(Missed::Expired(missed), next), next.before(), Told::Gap)
}

/// The cursor is not of the log that this node reads. None: it may be of what is yet to come here. Else where
/// it goes on: from the beginning of a later log, of which it has seen nothing; or after what there is, as a
/// position that is yet to come was never given.
fn begin_anew(cursor: Position, extent: Extent, head: Position) -> Option<Position> {
    let same = extent.last.epoch == cursor.epoch;
    if head.epoch != extent.last.epoch || (same && extent.last.seq >= cursor.seq) {
        // It has seen more of the log, by way of another node, than has come here yet.
        return None;
    }
    Some(if same { extent.next() } else { extent.first })
}
