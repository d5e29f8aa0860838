//! What was asked for and what was done in the last minutes: for stabilisation, which looks at the first, and for the
//! pace, which counts the second. It is lost with the operator's process: one that has just begun takes no node away
//! before a whole window has passed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How fast the number of nodes may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// All of so long ago must have asked for it.
    pub window: Duration,
    /// In each period so many nodes, or so many in percent of those there were, whichever is more.
    pub pods: u32,
    pub percent: u32,
    pub period: Duration,
}

/// See above.
#[derive(Clone, Debug)]
pub struct History {
    begun: Instant,
    /// What counts for the time before there was anything.
    first: i32,
    asked: VecDeque<(Instant, i32)>,
    /// By how many the number has changed.
    scaled: VecDeque<(Instant, i32)>,
}

/// The longest `period` that a stream can ask for.
const LONGEST_PERIOD: Duration = Duration::from_mins(30);

impl History {
    /// Begins with so many nodes.
    pub fn new(begun: Instant, first: i32) -> Self {
        Self { begun, first, asked: VecDeque::new(), scaled: VecDeque::new() }
    }

    /// So many were asked for. What is older than the window is of no interest any more.
    pub(super) fn asked(&mut self, now: Instant, nodes: i32, window: Duration) {
        self.asked.push_back((now, nodes));
        while self.asked.front().is_some_and(|(at, _)| now.duration_since(*at) > window) {
            self.asked.pop_front();
        }
    }

    pub(super) fn scaled(&mut self, now: Instant, by: i32) {
        if by != 0 {
            self.scaled.push_back((now, by));
        }
        while self.scaled.front().is_some_and(|(at, _)| now.duration_since(*at) > LONGEST_PERIOD) {
            self.scaled.pop_front();
        }
    }

    /// The least that was asked for within the window.
    pub(super) fn least(&self, now: Instant, window: Duration) -> i32 {
        self.within(now, window).min().unwrap_or(self.first)
    }

    /// The most that was asked for within the window.
    pub(super) fn most(&self, now: Instant, window: Duration) -> i32 {
        self.within(now, window).max().unwrap_or(self.first)
    }

    fn within(&self, now: Instant, window: Duration) -> impl Iterator<Item = i32> {
        let before = (now.duration_since(self.begun) < window).then_some(self.first);
        let asked = self.asked.iter().filter(move |(at, _)| now.duration_since(*at) <= window);
        before.into_iter().chain(asked.map(|(_, nodes)| *nodes))
    }

    /// How many nodes there may be by now.
    pub(super) fn ceiling(&self, now: Instant, current: i32, pace: Pace) -> i32 {
        let added: i32 = self.since(now, pace.period).filter(|by| *by > 0).sum();
        let before = current - added;
        before.saturating_add(share(before, pace))
    }

    /// How few nodes there may be by now.
    pub(super) fn floor(&self, now: Instant, current: i32, pace: Pace) -> i32 {
        let taken: i32 = self.since(now, pace.period).filter(|by| *by < 0).sum();
        let before = current - taken;
        before - share(before, pace)
    }

    fn since(&self, now: Instant, period: Duration) -> impl Iterator<Item = i32> {
        self.scaled.iter().filter(move |(at, _)| now.duration_since(*at) < period).map(|(_, by)| *by)
    }
}

fn share(nodes: i32, pace: Pace) -> i32 {
    let percent = i64::from(nodes.max(0)) * i64::from(pace.percent) / 100;
    let most = i64::from(pace.pods).max(percent);
    i32::try_from(most).unwrap_or(i32::MAX)
}
