//! Time as connections keep it: in tenths of a second since the node began, which take four bytes.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tenths of a second since the node began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u32);

/// A span, in the same tenths; rounded up, so that no limit is shorter than it was declared.
pub fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(100)).unwrap_or(u32::MAX)
}

impl Tick {
    /// How long ago `earlier` was.
    pub fn since(self, earlier: Tick) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    #[must_use]
    pub fn after(self, ticks: u32) -> Tick {
        Tick(self.0.saturating_add(ticks))
    }
}

/// Tells ticks, and what they are called elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    begun: Instant,
    timestamp: Timestamp,
}

impl Default for Clock {
    fn default() -> Self {
        Self { begun: Instant::now(), timestamp: Timestamp::now() }
    }
}

impl Clock {
    pub fn now(&self) -> Tick {
        Tick(u32::try_from(self.begun.elapsed().as_millis() / 100).unwrap_or(u32::MAX))
    }

    /// How long it is until a tick; nothing if it is over.
    pub fn until(&self, tick: Tick) -> Duration {
        (self.begun + Duration::from_millis(u64::from(tick.0) * 100)).saturating_duration_since(Instant::now())
    }

    pub fn timestamp(&self, tick: Tick) -> Timestamp {
        let since = jiff::SignedDuration::from_millis(i64::from(tick.0) * 100);
        self.timestamp.checked_add(since).unwrap_or(Timestamp::MAX)
    }
}
