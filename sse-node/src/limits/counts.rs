//! What counts: the question that is put to it, the answer, and the contract that both who answer keep, the node
//! itself ([`super::local`]) and all nodes together by way of Redis ([`super::fleet`]).
//!
//! `tests/limits/contract.rs` holds both to it: never more than `max` in any window, however many ask at once; a
//! stream takes one of so many places until it has left; a pass lets one in once, uncounted.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::key::Key;

/// How long a place is kept for a stream whose node says nothing more.
pub const LEASE: Duration = Duration::from_secs(30);

/// Counts for a fleet, or for a node.
pub trait Counts: Send + Sync {
    /// Counts one who wants to come in. Who is not let in is not counted.
    fn enter<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<Verdict, Away>>;

    /// Counts so many at once, or none of them.
    fn spend(&self, key: Key, quota: Quota, cost: u32) -> BoxFuture<'_, Result<Spent, Away>>;

    /// Takes note of what became of streams. Once more does no harm.
    fn settle<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Away>>;

    /// It will be asked: whoever is first should not wait for it to get ready.
    fn prepare(&self);

    /// Keeps up what it needs to answer, for ever.
    fn keep(&self) -> BoxFuture<'_, ()>;
}

/// There is no answer for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away;

/// One who wants to come in.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Of the stream that there would be; no other of this node has it.
    pub member: u64,
    pub rate: Option<(Key, Quota)>,
    /// Who has how many streams at most.
    pub streams: Option<(Key, u32)>,
}

/// So many in a window that slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub max: u32,
    pub window: Duration,
}

/// Up to so many are remembered one by one; of more, how many there were in each slice of the window.
const SLICES: u32 = 64;

impl Quota {
    pub fn window_millis(&self) -> u64 {
        u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX / 4).max(1)
    }

    /// How exactly times are remembered, in milliseconds. What happened in a slice counts until the last moment of
    /// the slice is out of the window: so there are never more than `max` in any window, and with many slices a
    /// place comes back up to a 64th of the window late.
    pub fn slice_millis(&self) -> u64 {
        if self.max <= SLICES { 1 } else { self.window_millis().div_ceil(SLICES.into()) }
    }
}

/// How one stands with a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub remaining: u32,
    /// When there is more: for one who was refused, enough for what was refused.
    pub reset: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub outcome: Outcome,
    /// With the rate, if there is one.
    pub standing: Option<Standing>,
}

/// Whether one comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Admitted,
    /// Uncounted, as the fleet itself had ended a stream of this one.
    AdmittedByPass,
    TooFast,
    TooMany,
}

/// What came of spending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    pub granted: bool,
    pub standing: Standing,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub key: Key,
    pub member: u64,
    pub what: What,
    /// From then on it says nothing any more.
    pub until: Instant,
}

/// See [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is still there: its place is kept for another [`LEASE`].
    Stays,
    /// Its place is free.
    Left,
    /// The fleet ended it: its client may come in once, uncounted.
    Passed,
}
