//! What is to be told to Redis about streams: those that left, those that the fleet ended, and, every now and then,
//! those that are still there. In batches: what comes while one is under way makes up the next, so that a stream's
//! end is known to Redis a round trip later, and ten thousand ends take twenty.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{self, MissedTickBehavior, sleep, timeout},
};

use super::{
    counts::{Away, Change, Counts, LEASE, What},
    local::Local,
};

/// The most changes in one script, which then takes Redis about a millisecond.
const BATCH: usize = 500;
/// How often Redis is told which streams are still there: of three times, two may fail.
const RENEWAL: Duration = Duration::from_secs(10);
/// How often Redis is tried while it is away.
const PAUSE: Duration = Duration::from_millis(200);
/// How many changes wait for Redis at most: the oldest go. A place that is not kept lapses, a pass is lost.
const MOST: usize = 100_000;
/// How long a node that ends tries to tell the rest.
const LAST: Duration = Duration::from_secs(1);

/// Changes that Redis does not know yet.
#[derive(Default)]
pub struct Ledger {
    waiting: Mutex<VecDeque<Change>>,
    noted: Notify,
    /// Held by who tells Redis: changes of one stream must not overtake each other.
    telling: tokio::sync::Mutex<()>,
}

impl Ledger {
    pub fn note(&self, change: Change) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MOST {
            waiting.pop_front();
        }
        waiting.push_back(change);
        drop(waiting);
        self.noted.notify_one();
    }

    /// Tells Redis what there is to tell, for ever.
    pub async fn keep(&self, fleet: &dyn Counts, local: &Local) {
        let mut renewal = time::interval(RENEWAL);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let told = tokio::select! {
                () = self.noted.notified() => self.tell(fleet, local).await,
                _ = renewal.tick() => self.renew(fleet, local).await,
            };
            if told.is_err() {
                sleep(PAUSE).await;
                if !self.waiting.lock().is_empty() {
                    self.noted.notify_one();
                }
            }
        }
    }

    /// Tells what is left, if Redis is there to hear it.
    pub async fn finish(&self, fleet: &dyn Counts, local: &Local) {
        let telling = async {
            while self.tell(fleet, local).await.is_err() {
                sleep(PAUSE).await;
            }
        };
        let _ = timeout(LAST, telling).await;
    }

    async fn tell(&self, fleet: &dyn Counts, local: &Local) -> Result<(), Away> {
        let _telling = self.telling.lock().await;
        loop {
            let batch: Vec<Change> = {
                let mut waiting = self.waiting.lock();
                let length = waiting.len().min(BATCH);
                waiting.drain(..length).collect()
            };
            if batch.is_empty() {
                return Ok(());
            }
            if fleet.settle(&batch).await.is_err() {
                self.keep_for_later(batch, local);
                return Err(Away);
            }
        }
    }

    /// Redis gets them when it is back. Until then the node counts by itself, and knows of the passes.
    fn keep_for_later(&self, batch: Vec<Change>, local: &Local) {
        let now = Instant::now();
        let mut waiting = self.waiting.lock();
        for change in batch.into_iter().rev() {
            if change.what == What::Passed {
                local.pass(change.key, change.member, change.until);
            }
            if change.until > now && waiting.len() < MOST {
                waiting.push_front(change);
            }
        }
    }

    async fn renew(&self, fleet: &dyn Counts, local: &Local) -> Result<(), Away> {
        for streams in local.streams().chunks(BATCH) {
            self.tell(fleet, local).await?;
            let _telling = self.telling.lock().await;
            // One that has left meanwhile is noted behind this, or is gone already.
            let until = Instant::now() + LEASE;
            let there = streams.iter().filter(|(member, _)| local.has(*member));
            let stay = there.map(|(member, key)| Change { key: *key, member: *member, what: What::Stays, until });
            fleet.settle(&stay.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }
}
