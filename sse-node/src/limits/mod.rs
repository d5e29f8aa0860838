//! How often one may come, how many streams one may have at a time, and how much one may publish.
//!
//! Who is one says [`key`], by way of [`client`]. What counts is behind [`counts::Counts`]: all nodes together in
//! Redis ([`fleet`]), or the node by itself ([`local`]) with a memory broker and while Redis is away. What became of
//! streams, that their places are free and that the fleet has ended them, is told to Redis in batches ([`ledger`]).
//!
//! Where there is no limit, nothing of this is reached.

mod budget;
pub mod client;
pub mod counts;
pub mod fleet;
pub mod key;
mod lease;
mod ledger;
pub mod local;
mod refusal;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ssefleet_crds::{
    Stream,
    rate_limits::{Per, WhenRedisIsAway},
    validated::RateLimits,
};

pub use self::{
    budget::{Budget, Overspent},
    lease::{Lease, Pass},
    refusal::Limited,
};
use self::{
    counts::{Away, Counts, Entry, Outcome, Quota, Spent, Verdict},
    key::{Asker, Key},
    ledger::Ledger,
    local::Local,
};
use crate::{
    auth::Identity,
    http::{ask::Ask, cors::Added},
    metrics::Metrics,
};

/// Counts.
#[derive(Clone)]
pub struct Limits(Arc<Shared>);

struct Shared {
    /// None with a memory broker: the node is the fleet.
    fleet: Option<Arc<dyn Counts>>,
    local: Local,
    ledger: Ledger,
    next_member: AtomicU64,
    metrics: Metrics,
}

/// One who is within all limits.
#[derive(Default)]
pub struct Counted {
    /// What the answer says of the limits.
    pub fields: Added,
    pub lease: Option<Lease>,
    pub pass: Option<Pass>,
}

impl Limits {
    pub fn new(fleet: Option<Arc<dyn Counts>>, metrics: Metrics) -> Self {
        let (local, ledger) = (Local::default(), Ledger::default());
        Self(Arc::new(Shared { fleet, local, ledger, next_member: AtomicU64::new(0), metrics }))
    }

    /// Counts one who wants to subscribe.
    pub async fn subscriber(
        &self,
        ask: &Ask<'_>,
        identity: Option<&Identity>,
        stream: &Stream,
    ) -> Result<Counted, Limited> {
        let limits = &stream.rate_limits;
        if limits.connect.is_none() && limits.concurrent.is_none() {
            return Ok(Counted::default());
        }
        let entry = self.entry(ask, identity, limits);
        let (rate, quota) = entry.rate.unzip();
        // Before the question, so that it is given back whatever becomes of that.
        let mut lease = entry.streams.map(|(key, _)| Lease::new(self.clone(), key, entry.member));
        let verdict = self.0.enter(&entry, limits.when_redis_is_away).await;
        if let (Some(lease), Ok(Verdict { outcome: Outcome::TooFast | Outcome::TooMany, .. })) = (&mut lease, &verdict)
        {
            lease.was_not_given();
        }
        let retry = stream.connections.retry;
        let verdict = verdict.map_err(|Away| Limited::away(stream.connections.refuse_with, retry))?;
        let standing = quota.zip(verdict.standing);
        match (verdict.outcome, &limits.connect, &limits.concurrent) {
            (Outcome::TooFast, Some(limit), _) => return Err(Limited::too_fast(limit, standing, retry)),
            (Outcome::TooMany, _, Some(limit)) => return Err(Limited::too_many(limit, standing, retry)),
            (Outcome::AdmittedByPass, ..) => self.0.metrics.limit_passes_used.inc(),
            _ => {}
        }
        let fields = standing.map(|(quota, standing)| refusal::fields(quota, standing)).unwrap_or_default();
        let pass = rate.map(|key| Pass::new(self.clone(), key, entry.member, lifetime(retry)));
        Ok(Counted { fields, lease, pass })
    }

    /// How much one may publish; none if there is no limit to that.
    pub fn budget(&self, asker: &Asker<'_>, limits: &RateLimits) -> Option<Budget> {
        let limit = limits.publish.as_ref()?;
        let key = Key::of(asker, limit.per, limit.header.as_deref(), &limits.trusted_proxies);
        Some(Budget::new(self.clone(), key, limit, limits.when_redis_is_away))
    }

    fn entry(&self, ask: &Ask<'_>, identity: Option<&Identity>, limits: &RateLimits) -> Entry {
        let fields = |name: &str| ask.fields.bytes(name);
        let subject = identity.and_then(|identity| identity.subject.as_deref());
        let asker = Asker { peer: ask.peer.ip(), subject, fields: &fields };
        let key = |per: Per, header: &Option<String>| Key::of(&asker, per, header.as_deref(), &limits.trusted_proxies);
        let rate = limits
            .connect
            .as_ref()
            .map(|limit| (key(limit.per, &limit.header), Quota { max: limit.max, window: limit.window.into() }));
        let streams = limits.concurrent.as_ref().map(|limit| (key(limit.per, &limit.header), limit.max));
        Entry { member: self.0.next_member.fetch_add(1, Ordering::Relaxed), rate, streams }
    }

    /// Keeps Redis informed, for ever.
    pub async fn run(&self, declared: &RateLimits) {
        if let Some(fleet) = &self.0.fleet {
            if declared.any() {
                fleet.prepare();
            }
            tokio::join!(fleet.keep(), self.0.ledger.keep(&**fleet, &self.0.local));
        }
    }

    /// Tells Redis what it has not been told yet, as the node is about to end.
    pub async fn finish(&self) {
        if let Some(fleet) = &self.0.fleet {
            self.0.ledger.finish(&**fleet, &self.0.local).await;
        }
    }
}

impl Shared {
    async fn enter(&self, entry: &Entry, when_away: WhenRedisIsAway) -> Result<Verdict, Away> {
        let asked = match &self.fleet {
            Some(fleet) => fleet.enter(entry).await,
            None => Err(Away),
        };
        let verdict = match asked {
            Ok(verdict) => {
                if let (Outcome::Admitted | Outcome::AdmittedByPass, Some((key, _))) = (verdict.outcome, entry.streams)
                {
                    self.local.join(entry.member, key);
                }
                Ok(verdict)
            }
            Err(Away) => self.alone(when_away).map(|()| self.local.admit(entry)),
        };
        self.decided(asked.is_ok(), verdict.is_ok());
        verdict
    }

    async fn spend(&self, key: Key, quota: Quota, cost: u32, when_away: WhenRedisIsAway) -> Result<Spent, Away> {
        let asked = match &self.fleet {
            Some(fleet) => fleet.spend(key, quota, cost).await,
            None => Err(Away),
        };
        let spent = asked.or_else(|Away| self.alone(when_away).map(|()| self.local.take(key, quota, cost)));
        self.decided(asked.is_ok(), spent.is_ok());
        spent
    }

    /// Whether the node may count by itself when there is no answer.
    fn alone(&self, when_away: WhenRedisIsAway) -> Result<(), Away> {
        match when_away {
            WhenRedisIsAway::Refuse if self.fleet.is_some() => Err(Away),
            _ => Ok(()),
        }
    }

    fn decided(&self, by_the_fleet: bool, at_all: bool) {
        let by = match (by_the_fleet, at_all) {
            (true, _) => "fleet",
            (false, true) => "node",
            (false, false) => "nobody",
        };
        self.metrics.limit_decisions.with_label_values(&[by]).inc();
    }
}

/// How long a pass holds: one who is told to come back after `retry` ±50 %, and again ±50 % as the stream ends,
/// does so within 2¼ of it; and has a minute more for a network that is slow or gone for a moment.
fn lifetime(retry: Duration) -> Duration {
    3 * retry + Duration::from_mins(1)
}
