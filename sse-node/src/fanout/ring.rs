//! The newest part of the log, encoded once, in memory.
//!
//! Readers hold a [`Position`] and nothing else: a slow one costs no more than a fast one, and one that falls
//! off the end is told how far. The ring covers the positions from `first` to `head` of one epoch without
//! holes, so finding a position is an index, not a search.

use std::collections::VecDeque;

use bytes::Bytes;

use super::topics::Topics;
use crate::{
    encode,
    event::{Event, Position},
};

/// The newest part of the log, encoded once.
#[derive(Debug)]
pub struct Ring {
    entries: VecDeque<Entry>,
    /// The newest position that is known; that of the last entry, if there is one.
    head: Position,
    /// Of all frames together.
    bytes: usize,
    limits: Limits,
}

/// How much a ring holds at most; the newest event stays even when it alone is too large.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub events: usize,
    pub bytes: usize,
}

#[derive(Debug)]
struct Entry {
    topic: Box<str>,
    frame: Bytes,
}

/// What a reader at some cursor gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// Everything up to the new cursor; the frames are those of the reader's topics, possibly none.
    Upto(Position, Vec<Bytes>),
    /// The reader wants what is older than the ring: `first` is the oldest position here.
    Older { first: Position },
    /// The cursor is of another epoch than the log.
    OtherEpoch,
}

impl Ring {
    /// An empty ring after `head`.
    pub fn new(head: Position, limits: Limits) -> Self {
        Self { entries: VecDeque::new(), head, bytes: 0, limits }
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
    pub fn push(&mut self, event: &Event) {
        let expected = Position { seq: self.head.seq + 1, ..self.head };
        if event.position != expected {
            self.restart(event.position.before());
        }
        let frame = encode::event(event);
        self.bytes += frame.len();
        self.entries.push_back(Entry { topic: event.new.topic.as_str().into(), frame });
        self.head = event.position;
        while self.entries.len() > 1 && (self.entries.len() > self.limits.events || self.bytes > self.limits.bytes) {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= oldest.frame.len();
            }
        }
    }

    /// Forgets everything; the next event is expected right after `head`.
    pub fn restart(&mut self, head: Position) {
        self.entries.clear();
        self.bytes = 0;
        self.head = head;
    }

    /// What comes after `cursor`: at most `limit` frames of at least one event's worth.
    pub fn read(&self, cursor: Position, topics: &Topics, limit: usize) -> Read {
        if cursor.epoch != self.head.epoch || cursor.seq > self.head.seq {
            return Read::OtherEpoch;
        }
        let first = self.first();
        if cursor.seq + 1 < first.seq {
            return Read::Older { first };
        }
        let mut frames = Vec::new();
        let mut seq = cursor.seq;
        #[expect(clippy::cast_possible_truncation, reason = "an index into what lies in memory")]
        let after = (cursor.seq + 1 - first.seq) as usize;
        for entry in self.entries.range(after..) {
            if frames.len() == limit {
                break;
            }
            seq += 1;
            if topics.want(&entry.topic) {
                frames.push(entry.frame.clone());
            }
        }
        Read::Upto(Position { seq, ..cursor }, frames)
    }

    /// The oldest position in the ring; the next one to come, if it is empty.
    fn first(&self) -> Position {
        Position { seq: self.head.seq + 1 - self.entries.len() as u64, ..self.head }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::NewEvent;

    const LIMITS: Limits = Limits { events: 4, bytes: 10_000 };

    fn event(epoch: u64, seq: u64) -> Event {
        let new = NewEvent { topic: format!("t{}", seq % 3), event: None, data: format!("{epoch}/{seq}"), ttl: None };
        Event { position: Position::new(epoch, seq), at: 0, new }
    }

    fn ring(seqs: impl IntoIterator<Item = u64>) -> Ring {
        let mut ring = Ring::new(Position::new(1, 0), LIMITS);
        seqs.into_iter().for_each(|seq| ring.push(&event(1, seq)));
        ring
    }

    fn frames(seqs: impl IntoIterator<Item = u64>) -> Vec<Bytes> {
        seqs.into_iter().map(|seq| encode::event(&event(1, seq))).collect()
    }

    fn at(seq: u64) -> Position {
        Position::new(1, seq)
    }

    #[test]
    fn a_cursor_gets_what_comes_after_it() {
        let ring = ring(1..=3);
        assert_eq!(ring.read(at(0), &Topics::All, 10), Read::Upto(at(3), frames(1..=3)));
        assert_eq!(ring.read(at(2), &Topics::All, 10), Read::Upto(at(3), frames([3])));
        assert_eq!(ring.read(at(3), &Topics::All, 10), Read::Upto(at(3), vec![]));
        assert_eq!(ring.read(at(0), &Topics::All, 2), Read::Upto(at(2), frames(1..=2)));
    }

    #[test]
    fn other_topics_move_the_cursor_too() {
        let topics = Topics::of(["t0"]).unwrap();
        assert_eq!(ring(1..=4).read(at(0), &topics, 10), Read::Upto(at(4), frames([3])));
    }

    #[test]
    fn a_reader_that_fell_off_is_told() {
        assert_eq!(ring(1..=9).read(at(4), &Topics::All, 10), Read::Older { first: at(6) });
        assert!(matches!(ring(1..=9).read(at(5), &Topics::All, 10), Read::Upto(..)));
    }

    #[test]
    fn a_hole_in_the_log_shows_in_the_cursors() {
        let mut ring = ring(1..=3);
        ring.push(&event(1, 7));
        assert_eq!(ring.read(at(3), &Topics::All, 10), Read::Older { first: at(7) });
        ring.push(&event(2, 1));
        assert_eq!(ring.read(at(7), &Topics::All, 10), Read::OtherEpoch);
        assert_eq!(ring.len(), 1);
    }

    #[test]
    fn a_cursor_from_the_future_is_of_another_log() {
        assert_eq!(ring(1..=3).read(at(4), &Topics::All, 10), Read::OtherEpoch);
    }

    #[test]
    fn bytes_are_bounded_and_the_newest_stays() {
        let mut ring = Ring::new(Position::new(1, 0), Limits { events: 100, bytes: 5 });
        (1..=3).for_each(|seq| ring.push(&event(1, seq)));
        assert_eq!((ring.len(), ring.bytes()), (1, frames([3])[0].len()));
    }

    proptest! {
        /// However reads of any size fall between the pushes, a reader gets every event once, in order, or
        /// learns exactly how many it missed.
        #[test]
        fn nothing_is_lost_or_repeated_silently(steps in proptest::collection::vec((any::<bool>(), 1..6_usize), 1..200)) {
            let mut ring = ring([]);
            let (mut published, mut cursor, mut got) = (0, at(0), 0);
            for (publish, n) in steps {
                if publish {
                    for _ in 0..n {
                        published += 1;
                        ring.push(&event(1, published));
                    }
                    continue;
                }
                match ring.read(cursor, &Topics::All, n) {
                    Read::Upto(to, read) => {
                        prop_assert_eq!(&read, &frames(got + 1..=got + read.len() as u64));
                        prop_assert_eq!(to.seq, cursor.seq + read.len() as u64);
                        prop_assert!(read.len() == n || to.seq == published);
                        got += read.len() as u64;
                        cursor = to;
                    }
                    Read::Older { first } => {
                        prop_assert_eq!(first.seq, published - ring.len() as u64 + 1);
                        prop_assert!(first.seq > cursor.seq + 1);
                        got = first.seq - 1;
                        cursor = first.before();
                    }
                    Read::OtherEpoch => prop_assert!(false, "one epoch only"),
                }
            }
            prop_assert!(ring.len() <= LIMITS.events);
        }
    }
}
