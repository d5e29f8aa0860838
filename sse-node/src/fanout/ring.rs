//! The newest part of the log, encoded once, in memory.
//!
//! Readers hold a [`Position`] and nothing else: a slow one costs no more than a fast one, and one that falls
//! off the end is told how far. The ring covers the positions from `first` to `head` of one epoch without
//! holes, so finding a position is an index, not a search.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::clock::Tick;
use crate::{
    broker::clock,
    encode::Frame,
    event::{Event, Position},
};

/// The newest part of the log, encoded once.
#[derive(Debug)]
pub struct Ring {
    entries: VecDeque<Entry>,
    /// The newest position that is known; that of the last entry, if there is one.
    head: Position,
    /// Of all entries together.
    bytes: usize,
    limits: Limits,
    /// When it was emptied while the log went on: what came before has no other time here.
    emptied: Tick,
    /// The newest number of each topic, of those that lie here.
    newest: HashMap<Arc<str>, u64>,
}

/// How much a ring holds at most; the newest event stays even when it alone is too large, but not when it is old.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub events: usize,
    pub bytes: usize,
    /// In ticks since an event came.
    pub age: u32,
}

/// One event, as it lies in a ring or a page.
#[derive(Clone, Debug)]
pub struct Entry {
    pub position: Position,
    pub topic: Arc<str>,
    pub frame: Frame,
    /// When it was published, in milliseconds since 1970.
    pub at: u64,
    /// When this node got it.
    pub arrived: Tick,
    /// Milliseconds since 1970 after which nobody wants it any more.
    expires: Option<u64>,
}

/// Why a cursor can't be read from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// It wants what is older than the ring: `first` is the oldest position here, or the next to come.
    Older { first: Position },
    /// It is of another log than this, or of what is yet to come.
    OtherLog,
}

impl Entry {
    pub fn new(event: &Event, frame: Frame, topic: Arc<str>, arrived: Tick) -> Self {
        Self { position: event.position, topic, frame, at: event.at, arrived, expires: event.expires() }
    }

    /// Whether its time is over, by the clock of this node.
    pub fn is_expired(&self) -> bool {
        self.expires.is_some_and(|at| clock::now() >= at)
    }

    fn size(&self) -> usize {
        self.frame.size() + size_of::<Self>()
    }
}

impl Ring {
    /// An empty ring after `head`.
    pub fn new(head: Position, limits: Limits) -> Self {
        Self { entries: VecDeque::new(), head, bytes: 0, limits, emptied: Tick(0), newest: HashMap::new() }
    }

    pub fn head(&self) -> Position {
        self.head
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the next event of the log. One that does not follow the head (the log began anew, or lost what
    /// was between) empties the ring first, so that readers learn of the hole by their cursors.
    pub fn push(&mut self, event: &Event, frame: Frame, now: Tick) {
        if event.position != self.head.next() {
            self.restart(event.position.before());
        }
        let known = self.newest.get_key_value(event.new.topic.as_str()).map(|(topic, _)| topic.clone());
        let topic = known.unwrap_or_else(|| event.new.topic.as_str().into());
        let entry = Entry::new(event, frame, topic, now);
        self.newest.insert(entry.topic.clone(), event.position.seq);
        self.bytes += entry.size();
        self.entries.push_back(entry);
        self.head = event.position;
        self.trim(now);
    }

    pub fn limit(&mut self, limits: Limits, now: Tick) {
        self.limits = limits;
        self.trim(now);
    }

    /// Lets go of what is too much, or too old by now.
    pub fn trim(&mut self, now: Tick) {
        while let Some(oldest) = self.entries.front() {
            let full = self.entries.len() > self.limits.events || self.bytes > self.limits.bytes;
            if !(full && self.entries.len() > 1) && now.since(oldest.arrived) <= self.limits.age {
                return;
            }
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.size();
            if self.newest.get(&oldest.topic) == Some(&oldest.position.seq) {
                self.newest.remove(&oldest.topic);
            }
        }
    }

    /// Forgets everything; the next event is expected right after `head`.
    pub fn restart(&mut self, head: Position) {
        self.entries.clear();
        self.newest.clear();
        self.bytes = 0;
        self.head = head;
    }

    /// Forgets its frames, which are no longer what events look like; readers find the events in the log.
    pub fn empty(&mut self, now: Tick) {
        self.restart(self.head);
        self.emptied = now;
    }

    pub fn emptied(&self) -> Tick {
        self.emptied
    }

    /// What comes after `cursor`.
    pub fn after(&self, cursor: Position) -> Result<impl Iterator<Item = &Entry>, Off> {
        if cursor.epoch != self.head.epoch || cursor.seq > self.head.seq {
            return Err(Off::OtherLog);
        }
        let first = self.first();
        if cursor.seq + 1 < first.seq {
            return Err(Off::Older { first });
        }
        #[expect(clippy::cast_possible_truncation, reason = "an index into what lies in memory")]
        let from = (cursor.seq + 1 - first.seq) as usize;
        Ok(self.entries.range(from..))
    }

    /// Whether no newer event of its topic lies here.
    pub fn is_newest(&self, entry: &Entry) -> bool {
        self.newest.get(&entry.topic).is_none_or(|seq| *seq <= entry.position.seq)
    }

    /// The oldest position in the ring; the next one to come, if it is empty.
    pub fn first(&self) -> Position {
        Position { seq: self.head.seq + 1 - self.entries.len() as u64, ..self.head }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use ssefleet_crds::compression::Compression;

    use super::*;
    use crate::{encode::Encoder, event::NewEvent, metrics::Metrics};

    const LIMITS: Limits = Limits { events: 4, bytes: 10_000, age: 100 };

    fn event(epoch: u64, seq: u64) -> Event {
        let new = NewEvent { topic: format!("t{}", seq % 3), event: None, data: format!("{epoch}/{seq}"), ttl: None };
        Event { position: Position::new(epoch, seq), at: 0, new }
    }

    fn frame(event: &Event) -> Frame {
        Encoder::new(&Compression::default(), &Metrics::new().unwrap()).event(event)
    }

    fn push(ring: &mut Ring, event: &Event, now: u32) {
        ring.push(event, frame(event), Tick(now));
    }

    fn ring(seqs: impl IntoIterator<Item = u64>) -> Ring {
        let mut ring = Ring::new(Position::new(1, 0), LIMITS);
        seqs.into_iter().for_each(|seq| push(&mut ring, &event(1, seq), 0));
        ring
    }

    fn at(seq: u64) -> Position {
        Position::new(1, seq)
    }

    fn read(ring: &Ring, cursor: Position) -> Result<Vec<u64>, Off> {
        ring.after(cursor).map(|entries| entries.map(|entry| entry.position.seq).collect())
    }

    #[test]
    fn a_cursor_gets_what_comes_after_it() {
        let ring = ring(1..=3);
        assert_eq!(read(&ring, at(0)), Ok(vec![1, 2, 3]));
        assert_eq!(read(&ring, at(2)), Ok(vec![3]));
        assert_eq!(read(&ring, at(3)), Ok(vec![]));
        assert_eq!(ring.after(at(2)).unwrap().next().unwrap().frame, frame(&event(1, 3)));
    }

    #[test]
    fn a_reader_that_fell_off_is_told() {
        assert_eq!(read(&ring(1..=9), at(4)), Err(Off::Older { first: at(6) }));
        assert_eq!(read(&ring(1..=9), at(5)), Ok(vec![6, 7, 8, 9]));
    }

    #[test]
    fn a_hole_in_the_log_shows_in_the_cursors() {
        let mut ring = ring(1..=3);
        push(&mut ring, &event(1, 7), 0);
        assert_eq!(read(&ring, at(3)), Err(Off::Older { first: at(7) }));
        push(&mut ring, &event(2, 1), 0);
        assert_eq!(read(&ring, at(7)), Err(Off::OtherLog));
        assert_eq!((ring.len(), ring.newest.len()), (1, 1));
    }

    #[test]
    fn a_cursor_from_the_future_is_of_another_log() {
        assert_eq!(read(&ring(1..=3), at(4)), Err(Off::OtherLog));
    }

    #[test]
    fn limits_hold_and_the_newest_stays() {
        let mut ring = Ring::new(at(0), Limits { events: 100, bytes: 5, ..LIMITS });
        (1..=3).for_each(|seq| push(&mut ring, &event(1, seq), 0));
        assert_eq!((ring.len(), ring.bytes()), (1, ring.entries[0].size()));
        ring.restart(at(3));
        assert_eq!((ring.bytes(), ring.first()), (0, at(4)));
    }

    #[test]
    fn what_is_old_goes_by_itself() {
        let mut ring = ring(1..=2);
        push(&mut ring, &event(1, 3), 50);
        ring.trim(Tick(100));
        assert_eq!(read(&ring, at(0)), Ok(vec![1, 2, 3]));
        ring.trim(Tick(101));
        assert_eq!(read(&ring, at(1)), Err(Off::Older { first: at(3) }));
        ring.trim(Tick(151));
        assert_eq!((ring.len(), ring.bytes(), ring.newest.len(), ring.head(), ring.first()), (0, 0, 0, at(3), at(4)));
        assert_eq!(read(&ring, at(3)), Ok(vec![]));
    }

    proptest! {
        /// What is told to be the newest of its topic is just that.
        #[test]
        fn the_newest_of_a_topic_is_known(events in 1..30_u64, limit in 1..10_usize) {
            let mut ring = Ring::new(at(0), Limits { events: limit, ..LIMITS });
            (1..=events).for_each(|seq| push(&mut ring, &event(1, seq), 0));
            for entry in &ring.entries {
                let newest = ring.entries.iter().filter(|other| other.topic == entry.topic).map(|other| other.position);
                prop_assert_eq!(ring.is_newest(entry), newest.max() == Some(entry.position));
            }
            prop_assert_eq!(ring.newest.len(), ring.entries.iter().map(|e| &e.topic).collect::<std::collections::HashSet<_>>().len());
        }
    }
}
