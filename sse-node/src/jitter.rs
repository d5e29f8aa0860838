//! Chance in what many are told at once.

use std::time::Duration;

/// Within ±50 %, so that those who lose their connections together do not come back together.
pub fn jitter(time: Duration) -> Duration {
    time.mul_f64(0.5 + fastrand::f64())
}
