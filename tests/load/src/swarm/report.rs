//! What a swarm found: the sums of one process, their addition, and the JSON that is printed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    check::Faults,
    histogram::{Histogram, Sparse},
};

/// What one process found; what several found adds up.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    pub connections: usize,
    pub connected: usize,
    /// Connections without all the events they were to have.
    pub incomplete: usize,
    pub received: u64,
    /// That came, heads and all.
    pub bytes: u64,
    #[serde(flatten)]
    pub faults: Faults,
    pub gaps: u64,
    /// What the gaps say is missing.
    pub missed: u64,
    pub resets: u64,
    pub reconnects: u64,
    /// Answers other than 200.
    pub refused: u64,
    /// Connections that the server ended or that broke.
    pub ended: u64,
    pub malformed: u64,
    /// From the last `storm` or `open` (or the start) to the last event that was expected, in nanoseconds.
    pub caught_up: u64,
    /// Nanoseconds.
    pub duration: u64,
    pub latency: Sparse,
    pub arrivals: Arrivals,
}

/// When each event was published, when the last connection had it, and how many had it. Times in nanoseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Arrivals {
    first: u64,
    events: Vec<(u64, u64, u64)>,
}

/// More events than a run has; beyond it they are counted, but have no broadcast time.
const MAX_ARRIVALS: u64 = 1 << 20;

impl Arrivals {
    pub fn from(first: u64) -> Self {
        Self { first, events: Vec::new() }
    }

    pub fn record(&mut self, n: u64, at: u64, now: u64) {
        let Some(index) = n.checked_sub(self.first).filter(|&index| index < MAX_ARRIVALS) else { return };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if index >= self.events.len() {
            self.events.resize(index + 1, (0, 0, 0));
        }
        let (published, last, count) = &mut self.events[index];
        *published = at;
        *last = now.max(*last);
        *count += 1;
    }

    fn add(&mut self, other: &Self) {
        self.first = other.first;
        self.events.resize(self.events.len().max(other.events.len()), (0, 0, 0));
        for (mine, theirs) in self.events.iter_mut().zip(&other.events) {
            *mine = (mine.0.max(theirs.0), mine.1.max(theirs.1), mine.2 + theirs.2);
        }
    }

    /// For each event that `connections` have: from its publishing until the last had it.
    fn broadcasts(&self, connections: u64) -> Histogram {
        let mut histogram = Histogram::default();
        for &(at, last, _) in self.events.iter().filter(|&&(_, _, count)| count >= connections) {
            histogram.record(last.saturating_sub(at));
        }
        histogram
    }
}

impl Findings {
    pub fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.connected += other.connected;
        self.incomplete += other.incomplete;
        self.received += other.received;
        self.bytes += other.bytes;
        self.faults.lost += other.faults.lost;
        self.faults.duplicated += other.faults.duplicated;
        self.faults.out_of_order += other.faults.out_of_order;
        self.faults.ids_not_increasing += other.faults.ids_not_increasing;
        self.gaps += other.gaps;
        self.missed += other.missed;
        self.resets += other.resets;
        self.reconnects += other.reconnects;
        self.refused += other.refused;
        self.ended += other.ended;
        self.malformed += other.malformed;
        self.caught_up = self.caught_up.max(other.caught_up);
        self.duration = self.duration.max(other.duration);
        let mut latency = Histogram::default();
        latency.add(&self.latency);
        latency.add(&other.latency);
        self.latency = latency.sparse();
        self.arrivals.add(&other.arrivals);
    }

    /// Nothing was lost, repeated or out of order.
    pub fn good(&self, unordered: bool) -> bool {
        let Faults { lost, duplicated, out_of_order, ids_not_increasing } = self.faults;
        let disordered = if unordered { 0 } else { out_of_order };
        lost + duplicated + disordered + ids_not_increasing == 0 && self.incomplete == 0
    }

    /// The result as it is printed; `readers` of the connections read.
    pub fn report(&self, readers: u64) -> Value {
        let mut latency = Histogram::default();
        latency.add(&self.latency);
        json!({
            "connections": self.connections,
            "connected": self.connected,
            "incomplete": self.incomplete,
            "received": self.received,
            "bytes": self.bytes,
            "lost": self.faults.lost,
            "duplicated": self.faults.duplicated,
            "out_of_order": self.faults.out_of_order,
            "ids_not_increasing": self.faults.ids_not_increasing,
            "gaps": self.gaps,
            "missed": self.missed,
            "resets": self.resets,
            "reconnects": self.reconnects,
            "refused": self.refused,
            "ended": self.ended,
            "malformed": self.malformed,
            "latency_ms": quantiles(&latency),
            "broadcast_ms": quantiles(&self.arrivals.broadcasts(readers)),
            "caught_up_ms": milliseconds(self.caught_up),
            "duration_ms": milliseconds(self.duration),
        })
    }
}

/// A histogram of nanoseconds as milliseconds.
pub fn quantiles(histogram: &Histogram) -> Value {
    let at = |q| milliseconds(histogram.quantile(q));
    json!({
        "count": histogram.total(),
        "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999),
        "max": milliseconds(histogram.max()),
    })
}

#[allow(clippy::cast_precision_loss)] // microseconds are fine enough
pub fn milliseconds(nanoseconds: u64) -> f64 {
    (nanoseconds / 1_000) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_ends_when_the_last_process_connection_has_it() {
        let (mut left, mut right) = (Findings::default(), Findings::default());
        left.arrivals = Arrivals::from(1);
        right.arrivals = Arrivals::from(1);
        left.arrivals.record(1, 1_000_000, 3_000_000);
        right.arrivals.record(1, 1_000_000, 9_000_000);
        right.arrivals.record(2, 1_000_000, 2_000_000); // left has not got it
        let mut both = Findings::default();
        both.add(&left);
        both.add(&right);
        let report = both.report(2);
        assert_eq!((&report["broadcast_ms"]["count"], &report["broadcast_ms"]["max"]), (&json!(1), &json!(8.0)));
    }

    #[test]
    fn a_late_event_is_a_fault_unless_the_publisher_has_several_in_flight() {
        let mut findings = Findings::default();
        assert!(findings.good(false));
        findings.faults.out_of_order = 1;
        assert!(!findings.good(false) && findings.good(true));
        findings.faults.duplicated = 1;
        assert!(!findings.good(true));
    }
}
