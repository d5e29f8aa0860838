//! Counting for all nodes together, in Redis: one script, one round trip.
//!
//! By the clock of Redis, so that those of the nodes don't matter. All keys lie in the log's slot of a Redis Cluster
//! and expire by themselves. The test `what_lies_in_redis_expires_is_small_and_tells_no_secret` holds how much memory
//! they take.

mod link;

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use redis::{FromRedisValue, Script, ScriptInvocation};
use tokio::time::timeout;
use tracing::warn;

use self::link::Link;
use super::{
    counts::{Away, Change, Counts, Entry, LEASE, Outcome, Quota, Spent, Standing, Verdict, What},
    key::Key,
};
use crate::broker::{
    BrokerError,
    redis::{primary::Route, refused::broken},
};

macro_rules! script {
    ($file:literal) => {
        LazyLock::new(|| Script::new(concat!(include_str!("window.lua"), include_str!($file))))
    };
}

static ENTER: LazyLock<Script> = script!("enter.lua");
static SPEND: LazyLock<Script> = script!("spend.lua");
static SETTLE: LazyLock<Script> = script!("settle.lua");

/// How long it is waited for an answer before looking whether there are any,
const LISTEN: Duration = Duration::from_millis(50);
/// how many such waits in a row make a Redis that is silent,
const SILENCE: u32 = 20;
/// and how many there are at most.
const LONGEST: u32 = 40;

/// Counts in Redis.
pub struct Fleet {
    link: Link,
    /// How many answers there were.
    answers: AtomicU64,
    /// What all keys begin with.
    prefix: String,
    /// What this node's streams begin with, unlike those of any other.
    node: String,
    /// It was said that Redis refuses.
    refuses: AtomicBool,
}

impl Fleet {
    pub fn new(route: Route, prefix: String) -> Self {
        let node = format!("{:012x}", fastrand::u64(..1 << 48));
        Self {
            link: Link::new(route, [&ENTER, &SPEND, &SETTLE]),
            answers: AtomicU64::new(0),
            prefix,
            node,
            refuses: AtomicBool::new(false),
        }
    }

    fn key(&self, what: &str, key: Option<Key>) -> String {
        key.map_or_else(|| format!("{}:{what}", self.prefix), |key| format!("{}:{what}:{key}", self.prefix))
    }

    fn member(&self, number: u64) -> String {
        format!("{}-{number:x}", self.node)
    }

    /// Runs a script, unless Redis is silent for a second. One who asks among many waits for as long
    /// as there are answers: a burst is no outage. And by several short waits rather than a long one, so that a
    /// node that is itself so busy that it does not get to read the answers does not blame Redis.
    async fn run<T: FromRedisValue>(&self, script: ScriptInvocation<'_>) -> Result<T, Away> {
        let running = async {
            loop {
                let (number, mut connection) = self.link.get().await?;
                match script.invoke_async(&mut connection).await {
                    Ok(said) => {
                        self.answers.fetch_add(1, Ordering::Relaxed);
                        self.refuses.store(false, Ordering::Relaxed);
                        return Ok(said);
                    }
                    Err(error) => match broken(error) {
                        // It had ended while nobody used it, mostly: then there is another one soon.
                        BrokerError::Away(_) => self.link.ended(number),
                        error => {
                            if let BrokerError::Unready(_) = error {
                                self.link.ended(number);
                            }
                            if !self.refuses.swap(true, Ordering::Relaxed) {
                                warn!(%error, "Redis can't count; rateLimits.whenRedisIsAway says what holds meanwhile");
                            }
                            return Err(Away);
                        }
                    },
                }
            }
        };
        tokio::pin!(running);
        let (mut heard, mut silent) = (self.answers.load(Ordering::Relaxed), 0);
        for _ in 0..LONGEST {
            if let Ok(said) = timeout(LISTEN, &mut running).await {
                return said;
            }
            let answers = self.answers.load(Ordering::Relaxed);
            silent = if answers == heard { silent + 1 } else { 0 };
            heard = answers;
            if silent == SILENCE {
                self.link.silent();
                break;
            }
        }
        Err(Away)
    }
}

impl Counts for Fleet {
    fn enter<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<Verdict, Away>> {
        Box::pin(async move {
            let (rate, quota) = entry.rate.unzip();
            let (streams, most) = entry.streams.unzip();
            let mut script = ENTER.key(self.key("connects", rate));
            script.key(self.key("passes", rate)).key(self.key("streams", streams));
            script.arg(quota.map_or(0, |quota| quota.max));
            script.arg(quota.map_or(0, |quota| quota.window_millis()));
            script.arg(quota.map_or(0, |quota| quota.slice_millis()));
            script.arg(most.unwrap_or(0)).arg(self.member(entry.member)).arg(millis(LEASE));
            let (outcome, used, room): (String, u32, u64) = self.run(script).await?;
            let outcome = match &*outcome {
                "admitted" => Outcome::Admitted,
                "passed" => Outcome::AdmittedByPass,
                "fast" => Outcome::TooFast,
                _ => Outcome::TooMany,
            };
            Ok(Verdict { outcome, standing: quota.map(|quota| standing(quota, used, room)) })
        })
    }

    fn spend(&self, key: Key, quota: Quota, cost: u32) -> BoxFuture<'_, Result<Spent, Away>> {
        Box::pin(async move {
            let mut script = SPEND.key(self.key("events", Some(key)));
            script.arg(quota.max).arg(quota.window_millis()).arg(quota.slice_millis()).arg(cost);
            let (granted, used, room): (bool, u32, u64) = self.run(script).await?;
            Ok(Spent { granted, standing: standing(quota, used, room) })
        })
    }

    fn settle<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Away>> {
        Box::pin(async move {
            let mut script = SETTLE.prepare_invoke();
            let now = Instant::now();
            let mut any = false;
            for change in changes {
                let left = change.until.saturating_duration_since(now);
                if left.is_zero() {
                    continue;
                }
                any = true;
                let (what, set) = match change.what {
                    What::Stays => ("stays", "streams"),
                    What::Left => ("left", "streams"),
                    What::Passed => ("passed", "passes"),
                };
                script.key(self.key(set, Some(change.key)));
                script.arg(what).arg(self.member(change.member)).arg(millis(left).max(1));
            }
            if any { self.run(script).await } else { Ok(()) }
        })
    }

    fn prepare(&self) {
        self.link.want();
    }

    fn keep(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.link.keep())
    }
}

fn standing(quota: Quota, used: u32, room: u64) -> Standing {
    Standing { remaining: quota.max.saturating_sub(used), reset: Duration::from_millis(room) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4)
}
