//! Which appends were done already, so that a retry is not done twice.

use std::collections::{HashMap, VecDeque};

use crate::{
    broker::{Appended, Once, REMEMBERED},
    event::Position,
};

/// The most appends that are remembered; the oldest are forgotten first.
const MOST: usize = 100_000;

/// Appends by their keys.
#[derive(Default)]
pub struct Memo {
    by_key: HashMap<String, Done>,
    /// Keys, oldest first, and when each is to be forgotten.
    ages: VecDeque<(u64, String)>,
}

struct Done {
    fingerprint: String,
    positions: Vec<Position>,
}

impl Memo {
    /// What came of it before; none if it was not done yet.
    pub fn recall(&mut self, once: &Once, now: u64) -> Option<Appended> {
        while self.ages.front().is_some_and(|(until, _)| *until <= now || self.ages.len() > MOST) {
            if let Some((_, key)) = self.ages.pop_front() {
                self.by_key.remove(&key);
            }
        }
        let done = self.by_key.get(&once.key)?;
        Some(if done.fingerprint == once.fingerprint {
            Appended::Replayed(done.positions.clone())
        } else {
            Appended::Conflict
        })
    }

    pub fn keep(&mut self, once: Once, positions: Vec<Position>, now: u64) {
        let forget = now.saturating_add(u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX));
        self.ages.push_back((forget, once.key.clone()));
        self.by_key.insert(once.key, Done { fingerprint: once.fingerprint, positions });
    }
}
