//! How long a stream waits after its nth failure in a row: doubling from a second to five minutes, jittered.

use std::time::Duration;

const FIRST: f64 = 1.0;
const MOST: f64 = 300.0;
/// So that streams that failed together do not come back together.
const JITTER: f64 = 0.2;

/// `failures` counts from one; `random` is from 0 to 1.
pub(super) fn delay(failures: u32, random: f64) -> Duration {
    let doubled = FIRST * 2_f64.powi(failures.saturating_sub(1).min(16).cast_signed());
    Duration::from_secs_f64(doubled.min(MOST) * (1.0 + JITTER * (2.0 * random - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_double_the_wait_up_to_five_minutes() {
        let middle = |failures| delay(failures, 0.5).as_secs();
        assert_eq!([1, 2, 3, 9, 10, 1000].map(middle), [1, 2, 4, 256, 300, 300]);
        assert_eq!(delay(1, 0.0), Duration::from_millis(800));
        assert_eq!(delay(1000, 1.0), Duration::from_mins(6));
    }
}
