//! What the nodes have told, as the engine takes it: rates instead of sums, and who has told nothing.

use std::time::{Duration, Instant};

use super::decide::{Node, Reading};
use crate::nodes::{Report, Stats};

/// What a node told longer ago is as good as nothing: it is asked every ten seconds.
const STALE: Duration = Duration::from_secs(45);

/// The sums that a node told, and when: rates are the differences between two of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Used {
    pub at: Instant,
    cpu_seconds: Option<f64>,
    delivered: u64,
    delivery_seconds: f64,
}

/// What a node does a second, and how long that takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub cores: Option<f64>,
    pub lag: Option<Duration>,
}

impl Used {
    pub fn of(stats: &Stats, at: Instant) -> Self {
        Self {
            at,
            cpu_seconds: stats.cpu_seconds,
            delivered: stats.delivery.events,
            delivery_seconds: stats.delivery.seconds,
        }
    }

    pub fn since(&self, before: &Self) -> Rates {
        Rates { cores: self.cores(before), lag: self.lag(before) }
    }

    /// The cores in use since then. None where too little time has passed, or another process has begun.
    fn cores(&self, before: &Self) -> Option<f64> {
        let passed = self.at.checked_duration_since(before.at).filter(|passed| *passed >= Duration::from_secs(1))?;
        let used = self.cpu_seconds? - before.cpu_seconds?;
        (used >= 0.0).then(|| used / passed.as_secs_f64())
    }

    /// How long an event took on average since then. None where there was none.
    fn lag(&self, before: &Self) -> Option<Duration> {
        let events = self.delivered.checked_sub(before.delivered).filter(|events| *events > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "of events between two looks there are fewer than 2^52")]
        let mean = (self.delivery_seconds - before.delivery_seconds) / events as f64;
        Duration::try_from_secs_f64(mean).ok()
    }
}

/// Whether the node has to tell its numbers: it serves, and goes on doing so.
pub fn serves(report: &Report) -> bool {
    report.serves() && report.stats().is_none_or(|stats| !stats.draining)
}

/// What a node told, if that is news enough.
pub fn told(report: &Report, now: Instant) -> Option<&Stats> {
    report.stats().filter(|_| now.saturating_duration_since(report.asked) < STALE)
}

/// What is known of a fleet.
pub fn reading(reports: &[Report], settled: bool, now: Instant, rates: impl Fn(&Report) -> Rates) -> Reading {
    let mut reading = Reading { settled, ..Reading::default() };
    for report in reports.iter().filter(|report| serves(report)) {
        let Some(stats) = told(report, now) else {
            reading.missing += 1;
            continue;
        };
        let Rates { cores, lag } = rates(report);
        reading.nodes.push(Node { connections: stats.active_connections, cpu: cores, lag });
    }
    reading
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::Delivery;

    fn used(at: Instant, cpu_seconds: f64, events: u64, seconds: f64) -> Used {
        let stats =
            Stats { cpu_seconds: Some(cpu_seconds), delivery: Delivery { events, seconds }, ..Stats::default() };
        Used::of(&stats, at)
    }

    #[test]
    fn rates_are_the_differences_between_two_times() {
        let now = Instant::now();
        let before = used(now, 10.0, 100, 5.0);
        let ten = now + Duration::from_secs(10);
        assert_eq!(
            used(ten, 15.0, 300, 25.0).since(&before),
            Rates { cores: Some(0.5), lag: Some(Duration::from_millis(100)) }
        );
        assert_eq!(used(ten, 15.0, 100, 5.0).since(&before).lag, None, "no event, no lag");
        assert_eq!(used(ten, 1.0, 3, 0.1).since(&before), Rates::default(), "another process has begun");
        assert_eq!(used(now, 15.0, 100, 5.0).since(&before), Rates::default(), "no time has passed");
    }
}
