//! The events themselves, and the exact account of how many, how large and how old they are.

use std::collections::VecDeque;

use crate::{
    broker::{Extent, Retention},
    event::{Event, NewEvent, Position},
};

/// Events in the order of their positions.
pub struct Log {
    events: VecDeque<Event>,
    bytes: usize,
    last: Position,
    retention: Retention,
}

impl Log {
    pub fn new(last: Position, retention: Retention) -> Self {
        Self { events: VecDeque::new(), bytes: 0, last, retention }
    }

    pub fn last(&self) -> Position {
        self.last
    }

    pub fn extent(&self) -> Extent {
        let next = Position { seq: self.last.seq + 1, ..self.last };
        Extent { first: self.events.front().map_or(next, |event| event.position), last: self.last }
    }

    pub fn push(&mut self, new: NewEvent, at: u64) -> Position {
        self.last.seq += 1;
        self.bytes += size(&new);
        self.events.push_back(Event { position: self.last, at, new });
        self.last
    }

    pub fn read(&self, after: Position, limit: usize) -> Vec<Event> {
        let from = self.events.partition_point(|event| event.position <= after);
        self.events.range(from..).take(limit).cloned().collect()
    }

    pub fn retain(&mut self, retention: Retention, now: u64) {
        self.retention = retention;
        self.trim(now);
    }

    /// Lets go of what is too many, too large or too old. The newest event stays, however large it is.
    pub fn trim(&mut self, now: u64) {
        let oldest = self.retention.oldest(now);
        while let Some(event) = self.events.front() {
            let large = self.bytes > self.retention.bytes && self.events.len() > 1;
            if self.events.len() <= self.retention.events && !large && event.at >= oldest {
                break;
            }
            self.bytes -= size(&event.new);
            self.events.pop_front();
        }
    }
}

fn size(new: &NewEvent) -> usize {
    new.topic.len() + new.data.len()
}
