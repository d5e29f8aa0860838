//! How much one may publish: events are counted before they are stored, all of a request's or none.

use std::time::Duration;

use ssefleet_crds::rate_limits::{PublishLimit, WhenRedisIsAway};
use tokio::time::{Instant, sleep};

use super::{
    Limits,
    counts::{Away, Quota, Standing},
    key::Key,
    refusal::{AWAY, fields, retry_after},
};
use crate::http::cors::Added;

/// How long lines that come as a stream wait for their turn. A longer wait is the publisher's to decide on.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of one who publishes.
pub struct Budget {
    limits: Limits,
    key: Key,
    quota: Quota,
    message: String,
    when_away: WhenRedisIsAway,
}

/// Why events are not stored.
pub enum Overspent {
    /// Too many for now.
    TooFast { message: String, fields: Added },
    /// More at once than there may be in a window.
    TooMany(String),
    /// Nobody can count.
    Away(&'static str),
}

impl Budget {
    pub(super) fn new(limits: Limits, key: Key, limit: &PublishLimit, when_away: WhenRedisIsAway) -> Self {
        let quota = Quota { max: limit.max, window: limit.window.into() };
        Self { limits, key, quota, message: limit.message.clone(), when_away }
    }

    /// How many there can be at once.
    pub fn most(&self) -> usize {
        self.quota.max as usize
    }

    /// Counts events; returns what the answer says of the limit.
    pub async fn spend(&self, events: usize) -> Result<Added, Overspent> {
        self.try_spend(events).await?.map_err(|standing| self.too_fast(standing))
    }

    /// As `spend`, but waits a while for its turn.
    pub async fn wait_and_spend(&self, events: usize) -> Result<Added, Overspent> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.try_spend(events).await? {
                Ok(fields) => return Ok(fields),
                Err(standing) if Instant::now() + standing.reset > until => return Err(self.too_fast(standing)),
                // Others may have been quicker then.
                Err(standing) => sleep(standing.reset.max(Duration::from_millis(1))).await,
            }
        }
    }

    async fn try_spend(&self, events: usize) -> Result<Result<Added, Standing>, Overspent> {
        if events > self.most() {
            let (max, window) = (self.quota.max, self.quota.window);
            return Err(Overspent::TooMany(format!(
                "these are {events} events, and rateLimits.publish takes {max} in {window:?}: send fewer at once"
            )));
        }
        let cost = u32::try_from(events).unwrap_or(u32::MAX);
        let spent = self.limits.0.spend(self.key, self.quota, cost, self.when_away).await;
        let spent = spent.map_err(|Away| Overspent::Away(AWAY))?;
        Ok(if spent.granted { Ok(fields(self.quota, spent.standing)) } else { Err(spent.standing) })
    }

    fn too_fast(&self, standing: Standing) -> Overspent {
        let mut fields = fields(self.quota, standing);
        fields.push(retry_after(standing.reset));
        Overspent::TooFast { message: self.message.clone(), fields }
    }
}
