//! Keeping the log within its age and its bytes; XADD itself keeps it within its number of events.
//!
//! Every node does so, at times of its own, while events come; once there are none, only when the oldest
//! event gets too old.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use redis::Script;
use tracing::warn;

use super::{Connection, Redis, broken};
use crate::broker::{BrokerError, Retention};

static TRIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("trim.lua")));

/// How often the log is looked at while it grows, from and to.
const EVERY: (u64, u64) = (2_000, 6_000);
/// The most entries that one call takes away: a few milliseconds of Redis' time.
const MOST: u64 = 10_000;

/// When to look next.
#[derive(Default)]
pub struct Trimmer {
    /// None: now.
    next: Option<Instant>,
    /// What the log was last held to.
    held: Option<Retention>,
    warned: bool,
}

impl Trimmer {
    /// The log has more than before.
    pub fn grown(&mut self) {
        let soon = soon();
        self.next = self.next.map(|next| next.min(soon));
    }

    /// Trims if it is time to. An error is returned only if the connection is no longer good.
    pub async fn trim(&mut self, redis: &Redis, connection: &mut Connection) -> Result<(), BrokerError> {
        let retention = redis.retention();
        if self.held == Some(retention) && self.next.is_some_and(|next| next > Instant::now()) {
            return Ok(());
        }
        self.held = Some(retention);
        let now = redis.clock.now();
        let mut trim = TRIM.key(&redis.key);
        trim.arg(now).arg(retention.oldest(now)).arg(retention.bytes).arg(MOST);
        let (taken, oldest): (u64, i64) = match trim.invoke_async(connection).await.map_err(broken) {
            Ok(done) => done,
            Err(error) if error.is_of_the_connection() => return Err(error),
            Err(error) => {
                if !self.warned {
                    warn!(%error, "the log can't be held to history.maxAge and history.maxBytes");
                    self.warned = true;
                }
                self.next = Some(soon());
                return Ok(());
            }
        };
        self.next = if taken > 0 {
            Some(soon())
        } else {
            let lived = u64::try_from(oldest).ok().map(|oldest| Duration::from_millis(now.saturating_sub(oldest)));
            let left = lived.map_or(Duration::MAX, |lived| retention.age.saturating_sub(lived));
            // Not long past it, so that a clock that is set makes no difference for ever.
            Some(soon() + left.min(Duration::from_mins(1)))
        };
        Ok(())
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(fastrand::u64(EVERY.0..=EVERY.1))
}
