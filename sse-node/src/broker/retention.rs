//! How much of the log is kept. Whichever limit is reached first lets the oldest events go.

use std::time::Duration;

use ssefleet_crds::validated::History;

/// How much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub events: usize,
    /// By the time at which an event was published.
    pub age: Duration,
    /// Memory counts data and topics; Redis all that the log takes there.
    pub bytes: usize,
}

impl Retention {
    /// So many events, whatever their age and size.
    pub fn of_events(events: usize) -> Self {
        Self { events, age: Duration::MAX, bytes: usize::MAX }
    }

    /// Events published before this are too old, in milliseconds since 1970.
    pub fn oldest(&self, now: u64) -> u64 {
        now.saturating_sub(u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<&History> for Retention {
    fn from(history: &History) -> Self {
        Self { events: history.max_events, age: history.max_age, bytes: history.max_bytes }
    }
}
