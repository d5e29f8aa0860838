//! What one is told of the limits: the RateLimit fields, and the answer to who is over one.
//!
//! The fields are those of draft-ietf-httpapi-ratelimit-headers-06, the last draft that has a field for each figure;
//! the later ones (-07 and on) put them all into one, which clients do not read yet. A window slides here, so that
//! `RateLimit-Reset` is when there is more room, not when all of it is there again: as the draft allows (-06, 5.4),
//! and as -10 says outright.

use std::time::Duration;

use hyper::StatusCode;
use ssefleet_crds::{
    connections::RefuseWith,
    rate_limits::{ConcurrentLimit, ConnectLimit},
};

use super::counts::{Quota, Standing};
use crate::{
    http::{
        ask::Ask,
        cors::{self, Added},
        respond::{self, Response},
    },
    jitter::jitter,
};

/// A browser is not told to stay away for longer: limits may be raised, and one who comes too early costs little.
const LONGEST: Duration = Duration::from_mins(5);

/// One who is over a limit, or of whom that can't be known.
pub struct Limited {
    reason: &'static str,
    status: StatusCode,
    message: String,
    refuse_with: RefuseWith,
    fields: Added,
    /// For a status: when to try again.
    after: Duration,
    /// For a stream: the same, different for each.
    retry: Duration,
}

impl Limited {
    pub(super) fn too_fast(limit: &ConnectLimit, standing: Option<(Quota, Standing)>, retry: Duration) -> Self {
        let reset = standing.map_or(Duration::ZERO, |(_, standing)| standing.reset);
        Self {
            reason: "rate_limited",
            status: StatusCode::TOO_MANY_REQUESTS,
            message: limit.message.clone(),
            refuse_with: limit.refuse_with,
            fields: standing.map(|(quota, standing)| fields(quota, standing)).unwrap_or_default(),
            after: reset,
            retry: reset.min(LONGEST) + jitter(retry),
        }
    }

    /// The RateLimit fields have no way to tell of this limit, which has no window; they tell of the other.
    pub(super) fn too_many(limit: &ConcurrentLimit, standing: Option<(Quota, Standing)>, retry: Duration) -> Self {
        let retry = jitter(retry);
        Self {
            reason: "too_many_streams",
            status: StatusCode::TOO_MANY_REQUESTS,
            message: limit.message.clone(),
            refuse_with: limit.refuse_with,
            fields: standing.map(|(quota, standing)| fields(quota, standing)).unwrap_or_default(),
            after: retry,
            retry,
        }
    }

    pub(super) fn away(refuse_with: RefuseWith, retry: Duration) -> Self {
        let retry = jitter(retry);
        Self {
            reason: "limiter_away",
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: AWAY.into(),
            refuse_with,
            fields: Added::new(),
            after: retry,
            retry,
        }
    }

    /// For the metric.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    pub fn answer(&self, ask: &Ask<'_>) -> Response {
        let response = if ask.survives_only_a_stream(self.refuse_with) {
            // It stands in a comment, which a line's end would end.
            respond::come_back(self.retry, &self.message.replace(char::is_control, " "))
        } else {
            respond::problem(self.status, &self.message)
        };
        cors::with(cors::with(response, &self.fields), &[retry_after(self.after)])
    }
}

/// What one is told whom nobody can count.
pub(super) const AWAY: &str = "nobody can count for now, so that nobody is let in who is counted; try again";

/// How one stands with a quota.
pub fn fields(quota: Quota, standing: Standing) -> Added {
    vec![
        ("ratelimit-policy", format!("{};w={}", quota.max, seconds(quota.window))),
        ("ratelimit-limit", quota.max.to_string()),
        ("ratelimit-remaining", standing.remaining.to_string()),
        ("ratelimit-reset", seconds(standing.reset).to_string()),
    ]
}

pub(super) fn retry_after(after: Duration) -> (&'static str, String) {
    ("retry-after", seconds(after).max(1).to_string())
}

/// Rounded up: whoever comes then is not too early.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_seconds() {
        let quota = Quota { max: 10, window: Duration::from_mins(15) };
        let told = |millis| fields(quota, Standing { remaining: 3, reset: Duration::from_millis(millis) });
        let told =
            |millis| told(millis).into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>();
        assert_eq!(
            told(1001),
            ["ratelimit-policy: 10;w=900", "ratelimit-limit: 10", "ratelimit-remaining: 3", "ratelimit-reset: 2"]
        );
        assert_eq!(told(2000)[3], "ratelimit-reset: 2");
        assert_eq!(told(0)[3], "ratelimit-reset: 0");
        assert_eq!(retry_after(Duration::ZERO).1, "1");
    }
}
