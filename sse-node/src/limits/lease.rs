//! What a stream holds of the limits: its place among those that one may have at a time, and the right of its client
//! to come back uncounted should the fleet end it.

use std::time::{Duration, Instant};

use super::{
    Limits,
    counts::{Change, LEASE, What},
    key::Key,
};

/// A place among the streams that one may have at a time; free again when it is dropped.
pub struct Lease {
    limits: Limits,
    key: Key,
    member: u64,
    given: bool,
}

/// Lets one come back uncounted, when the fleet itself ends a stream.
///
/// It is a number in Redis, not something that the client shows: so nobody can forge, keep or sell one, and there are
/// never more than streams that were admitted and that the fleet has ended. Who else comes under the same key in the
/// meantime may use it up in the client's stead; no more come in than would have.
pub struct Pass {
    limits: Limits,
    key: Key,
    member: u64,
    lifetime: Duration,
}

impl Lease {
    pub(super) fn new(limits: Limits, key: Key, member: u64) -> Self {
        Self { limits, key, member, given: true }
    }

    /// There is no place to give back.
    pub(super) fn was_not_given(&mut self) {
        self.given = false;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.given {
            let shared = &self.limits.0;
            shared.local.leave(self.member);
            if shared.fleet.is_some() {
                // A place that nobody keeps lapses by itself.
                let until = Instant::now() + LEASE;
                shared.ledger.note(Change { key: self.key, member: self.member, what: What::Left, until });
            }
        }
    }
}

impl Pass {
    pub(super) fn new(limits: Limits, key: Key, member: u64, lifetime: Duration) -> Self {
        Self { limits, key, member, lifetime }
    }

    /// The stream is ended by the fleet.
    pub fn give(self) {
        let (shared, until) = (&self.limits.0, Instant::now() + self.lifetime);
        shared.metrics.limit_passes_given.inc();
        if shared.fleet.is_some() {
            shared.ledger.note(Change { key: self.key, member: self.member, what: What::Passed, until });
        } else {
            shared.local.pass(self.key, self.member, until);
        }
    }
}
