//! What the connections of a swarm count into, event by event.

use super::{
    connection::Seen,
    options::{Ids, Options},
    report::Findings,
};
use crate::{check, histogram::Histogram, sse::Event};

/// What all connections count into.
pub struct Sums {
    pub findings: Findings,
    pub latency: Histogram,
    /// The highest number of each topic.
    pub last: Vec<u64>,
    /// When the last `storm` or `open` was, or the start.
    pub opened: u64,
}

impl Sums {
    /// Takes one event of one connection; true if it was the last of those it was to have.
    pub fn take(
        &mut self,
        options: &Options,
        topic: Option<usize>,
        seen: &mut Seen,
        event: Event,
        id: &[u8],
        now: u64,
    ) -> bool {
        let findings = &mut self.findings;
        let payload = match event {
            Event::Published(payload) => payload,
            Event::Gap(missed) => {
                findings.gaps += 1;
                findings.missed += missed;
                seen.sequence.forget();
                return false;
            }
            Event::Reset => {
                findings.resets += 1;
                *seen.last_position = 0;
                seen.sequence.forget();
                return false;
            }
            Event::Other => return false,
        };
        findings.received += 1;
        if options.ids == Ids::Epoch {
            let position = check::position(id).map_or(0, |(_, number)| number);
            findings.faults.ids_not_increasing += u64::from(position <= *seen.last_position);
            *seen.last_position = position;
        }
        let before = seen.sequence.next();
        seen.sequence.take(payload.n, &mut findings.faults);
        let last = &mut self.last[topic.unwrap_or(0)];
        *last = payload.n.max(*last);
        if payload.n >= options.timed_from {
            self.latency.record(now.saturating_sub(payload.at));
            if options.topics <= 1 {
                findings.arrivals.record(payload.n, payload.at, now);
            }
        }
        let complete = options.first + options.expect;
        let became = options.expect > 0 && before < complete && seen.sequence.next() >= complete;
        if became {
            findings.caught_up = now - self.opened;
        }
        became
    }
}
