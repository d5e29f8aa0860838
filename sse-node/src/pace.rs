//! Lets go of connections at a rate that all nodes of the stream keep together, as rollouts and scale-ins drain several at
//! once: a batch of them gets its turn from the broker. While that does not answer, each node takes its share of the rate
//! by the number of nodes that there were.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info};

use crate::{
    broker::pace::{Ask, PRESENT},
    fanout::hub::Hub,
};

/// A batch is what may be let go of in so long.
const BATCH: Duration = Duration::from_millis(100);
/// Within a batch they are let go of in steps of this.
const STEP: Duration = Duration::from_millis(5);
/// The rate is to hold at the other end too, where the network, proxies and a busy machine bunch up a few: so a fifth less
/// is let go of. Measured by `tests/e2e/rollout.rs`: of 180 a second, up to 207 came back within some second.
const MARGIN: f64 = 0.8;
/// How long the broker may take to give a turn, and how long it is not asked after it did not.
const ANSWER: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(5);

/// The pace that nodes keep together.
pub struct Pace {
    pub hub: Arc<Hub>,
    /// This node, for the broker.
    node: String,
    /// How many there were when the broker last answered; 0 before.
    nodes: AtomicU32,
}

impl Pace {
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub, node: format!("{:012x}", fastrand::u64(..1 << 48)), nodes: AtomicU32::new(0) }
    }

    /// Says now and then that this node is there, for ever.
    pub async fn present(&self) {
        loop {
            let before = self.nodes();
            self.turn(0, Duration::ZERO).await;
            // Where nodes come, others come.
            sleep(if self.nodes() == before { PRESENT / 3 } else { PRESENT / 30 }).await;
        }
    }

    /// How many nodes of the stream there are, as the broker last told; 0 if it has not yet.
    pub fn nodes(&self) -> u32 {
        self.nodes.load(Ordering::Relaxed)
    }

    /// Lets go of so many a second, together with all other nodes, for ever: calls `close` with how many may go now.
    pub async fn keep(&self, per_second: u32, close: impl Fn(usize)) {
        let rate = f64::from(per_second.max(1)) * MARGIN;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 10,000")]
        let count = (rate * BATCH.as_secs_f64()) as u32;
        let count = count.max(1);
        let each = Duration::from_secs_f64(1.0 / rate);
        let mut away = None;
        let mut begin = self.begin(count, each, &mut away).await;
        loop {
            // The next turn is asked for while this one passes, so that the way to the broker costs nothing.
            let (next, ()) = tokio::join!(self.begin(count, each, &mut away), spread(begin.0, count, begin.1, &close));
            begin = (next.0.max(begin.0 + begin.1 * count), next.1);
        }
    }

    /// When the next batch begins, and how long each of it takes.
    async fn begin(&self, count: u32, each: Duration, away: &mut Option<Instant>) -> (Instant, Duration) {
        if away.is_none_or(|until| until <= Instant::now()) {
            if let Some(after) = self.turn(count, each).await {
                if away.take().is_some() {
                    info!("the broker gives turns again");
                }
                return (Instant::now() + after, each);
            }
            if away.is_none() {
                info!(
                    nodes = self.nodes(),
                    "the broker gives no turns: this node takes its share of the declared rate"
                );
            }
            *away = Some(Instant::now() + AWAY);
        }
        let share = self.nodes().max(1);
        (Instant::now(), each * share)
    }

    /// None: the broker does not answer.
    async fn turn(&self, count: u32, each: Duration) -> Option<Duration> {
        let ask = Ask { node: self.node.clone(), count, each };
        match timeout(ANSWER, self.hub.broker().turn(&ask)).await {
            Ok(Ok(turn)) => {
                self.nodes.store(turn.nodes, Ordering::Relaxed);
                Some(turn.after)
            }
            Ok(Err(error)) => {
                debug!(%error, "no turn");
                None
            }
            Err(_) => None,
        }
    }
}

/// Lets go of a batch, evenly, from `begin` on; returns when its time is over.
async fn spread(begin: Instant, count: u32, each: Duration, close: impl Fn(usize)) {
    let over = begin + each * count;
    let mut gone = 0;
    let mut at = begin;
    while gone < count {
        sleep_until(at).await;
        let due = Instant::now().saturating_duration_since(begin).as_secs_f64() / each.as_secs_f64();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by count")]
        let due = (due as u32).saturating_add(1).min(count);
        if due > gone {
            close((due - gone) as usize);
            gone = due;
        }
        at = (begin + each * gone).max(at + STEP);
    }
    sleep_until(over).await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_batch_goes_evenly_and_takes_its_time() {
        for (count, each) in [(1, 1000), (9, 11), (950, 1)] {
            let (gone, each) = (Cell::new(0), Duration::from_millis(each));
            let begin = Instant::now() + Duration::from_millis(50);
            let close = |n| {
                gone.set(gone.get() + n);
                let due = begin.elapsed().as_micros() / each.as_micros() + 1;
                assert!(gone.get() as u128 <= due, "{} are gone, {due} are due", gone.get());
            };
            spread(begin, count, each, close).await;
            assert_eq!(gone.get(), count as usize);
            assert_eq!(begin.elapsed().as_millis(), (each * count).as_millis());
        }
    }
}
