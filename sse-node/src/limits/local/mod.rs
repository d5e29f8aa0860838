//! What a node counts by itself: all there is with a memory broker, and what holds by node while Redis is away.
//!
//! Streams are known exactly: they are this node's own. Of who came when, it remembers [`CLIENTS`] clients at most,
//! those that came last: memory is bounded whoever comes.

mod aging;
mod streams;
mod window;

use std::time::Instant;

use futures_util::future::{BoxFuture, pending, ready};
use parking_lot::Mutex;

use self::{aging::Aging, streams::Streams, window::Window};
use super::{
    counts::{Away, Change, Counts, Entry, Outcome, Quota, Spent, Verdict, What},
    key::Key,
};

/// How many clients are remembered: of 66 slices each at most, so some 35 MB if all of them are busy, and 5 MB if
/// they come ten times.
const CLIENTS: usize = 1 << 15;

/// The node's own counts.
pub struct Local {
    begun: Instant,
    state: Mutex<State>,
}

struct State {
    connects: Aging<Key, Window>,
    events: Aging<Key, Window>,
    /// The streams of one that the fleet has ended, and when those passes expire.
    passes: Aging<Key, Vec<(u64, Instant)>>,
    streams: Streams,
}

impl Default for Local {
    fn default() -> Self {
        let state = State {
            connects: Aging::new(CLIENTS),
            events: Aging::new(CLIENTS),
            passes: Aging::new(CLIENTS),
            streams: Streams::default(),
        };
        Self { begun: Instant::now(), state: Mutex::new(state) }
    }
}

impl Local {
    pub fn admit(&self, entry: &Entry) -> Verdict {
        let now = self.now();
        let mut state = self.state.lock();
        let full = entry.streams.is_some_and(|(key, most)| state.streams.of(key) >= most);
        let passed = !full && entry.rate.is_some_and(|(key, _)| state.use_pass(key));
        let cost = u32::from(!full && !passed);
        let spent = entry.rate.map(|(key, quota)| state.connects.entry(key).spend(now, quota, cost));
        let outcome = match spent {
            _ if full => Outcome::TooMany,
            _ if passed => Outcome::AdmittedByPass,
            Some(Spent { granted: false, .. }) => Outcome::TooFast,
            _ => Outcome::Admitted,
        };
        if let (Outcome::Admitted | Outcome::AdmittedByPass, Some((key, _))) = (outcome, entry.streams) {
            state.streams.join(entry.member, key);
        }
        Verdict { outcome, standing: spent.map(|spent| spent.standing) }
    }

    pub fn take(&self, key: Key, quota: Quota, cost: u32) -> Spent {
        let now = self.now();
        self.state.lock().events.entry(key).spend(now, quota, cost)
    }

    /// Keeps a place for a stream that was admitted elsewhere.
    pub fn join(&self, member: u64, key: Key) {
        self.state.lock().streams.join(member, key);
    }

    pub fn leave(&self, member: u64) {
        self.state.lock().streams.leave(member);
    }

    /// Lets one in who had this stream, once and uncounted.
    pub fn pass(&self, key: Key, member: u64, until: Instant) {
        let mut state = self.state.lock();
        let passes = state.passes.entry(key);
        let now = Instant::now();
        passes.retain(|(of, until)| *until > now && *of != member);
        passes.push((member, until));
    }

    /// The streams that there are.
    pub fn streams(&self) -> Vec<(u64, Key)> {
        self.state.lock().streams.all()
    }

    /// Whether a stream is still there.
    pub fn has(&self, member: u64) -> bool {
        self.state.lock().streams.has(member)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX / 4)
    }
}

impl State {
    fn use_pass(&mut self, key: Key) -> bool {
        let now = Instant::now();
        let Some(passes) = self.passes.get(key) else { return false };
        passes.retain(|(_, until)| *until > now);
        let used = passes.pop().is_some();
        if passes.is_empty() {
            self.passes.remove(&key);
        }
        used
    }
}

impl Counts for Local {
    fn enter<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<Verdict, Away>> {
        Box::pin(ready(Ok(self.admit(entry))))
    }

    fn spend(&self, key: Key, quota: Quota, cost: u32) -> BoxFuture<'_, Result<Spent, Away>> {
        Box::pin(ready(Ok(self.take(key, quota, cost))))
    }

    fn settle<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Away>> {
        for change in changes {
            match change.what {
                What::Stays => self.join(change.member, change.key),
                What::Left => self.leave(change.member),
                What::Passed => self.pass(change.key, change.member, change.until),
            }
        }
        Box::pin(ready(Ok(())))
    }

    fn prepare(&self) {}

    fn keep(&self) -> BoxFuture<'_, ()> {
        Box::pin(pending())
    }
}
