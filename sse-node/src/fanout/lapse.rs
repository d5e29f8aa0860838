//! When a stream ends because its token does. The client is told before, so that it can get another token and begin
//! anew; then the stream ends at some moment of the rest, so that those whose tokens were issued together do not come
//! back together.

use std::time::Duration;

use super::clock::{Tick, ticks};

/// How long before its end a client is told, at most; of a short-lived token, a tenth of its time, but a second.
const LEAD: u32 = 300;

/// The end of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// When the client is to be told. None: it has been.
    pub warns: Option<Tick>,
    /// When the stream ends: between the middle of what is left then and the end of it.
    pub closes: Tick,
    /// When the token is over.
    pub ends: Tick,
}

impl Lapse {
    /// Of a token that is good for so long from now on.
    pub fn of(lasts: Duration, now: Tick) -> Self {
        let lasts = ticks(lasts);
        let lead = LEAD.min((lasts / 10).max(10)).min(lasts);
        let ends = now.after(lasts);
        Self { warns: Some(now.after(lasts - lead)), closes: now.after(lasts - fastrand::u32(0..=lead / 2)), ends }
    }

    /// The seconds from then to its end, rounded up.
    pub fn seconds_left(&self, now: Tick) -> u64 {
        u64::from(self.ends.since(now).div_ceil(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_first_and_then_has_half_the_lead_at_least() {
        let now = Tick(1000);
        for (seconds, lead) in [(0, 0), (1, 10), (2, 10), (60, 60), (300, 300), (86_400, 300)] {
            for _ in 0..20 {
                let lapse = Lapse::of(Duration::from_secs(seconds), now);
                assert_eq!(lapse.ends.since(now), u32::try_from(seconds).unwrap() * 10);
                let warns = lapse.warns.unwrap();
                assert_eq!(lapse.ends.since(warns), lead);
                assert!(lapse.closes <= lapse.ends && lapse.closes.since(warns) >= lead / 2, "{lapse:?}");
            }
        }
    }
}
