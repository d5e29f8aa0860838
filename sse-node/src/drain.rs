//! Letting go of connections at a declared rate when the node is to stop.
//!
//! At once the node is not ready. Proxies need a moment to hear of it, and until then whoever comes is served;
//! then the node accepts no more, and ends its streams at the declared rate, which all nodes that drain share (`pace`),
//! so that those who come back do not come in a wave. At the deadline what is left is closed.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use ssefleet_crds::validated;
use tokio::{sync::Notify, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    Stop,
    metrics::{Closed, Metrics},
    pace::Pace,
};

/// Whether the node is to stop.
#[derive(Default)]
pub struct Drain {
    begun: AtomicBool,
    asked: Notify,
}

impl Drain {
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Asks for it, as a signal would.
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Waits until it is asked for.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Lets go of all connections. Returns when there are none, or at the deadline.
    pub async fn run(
        &self,
        why: Stop,
        declared: validated::Drain,
        pace: &Pace,
        metrics: &Metrics,
        conversations: &TaskTracker,
        finish: &CancellationToken,
    ) {
        let begun = time::Instant::now();
        let deadline = begun + declared.timeout;
        let mut stay = begun;
        self.begun.store(true, Ordering::Release);
        info!(?why, connections = metrics.connections.get(), "draining");
        if why != Stop::Interrupted {
            stay = begun + STAY.min(declared.timeout / 2);
            time::sleep(leave_the_proxies(declared.timeout)).await;
        }
        finish.cancel();
        conversations.close();
        let empty = async {
            while metrics.connections.get() > 0 {
                time::sleep(TICK).await;
            }
            conversations.wait().await;
            // Whom a proxy sends here that is slower still finds a closed port, and is told so at once. Once the pod's
            // address is gone, a connection to it would hang.
            time::sleep_until(stay).await;
        };
        tokio::select! {
            () = empty => info!("all connections are closed"),
            () = pace.keep(declared.reconnects_per_second, |count| pace.hub.close_some(count, Closed::Drained)) => {}
            () = time::sleep_until(deadline) => {
                warn!(left = metrics.connections.get(), "the drain timeout is over: what is left is closed at once");
            }
        }
    }
}

const TICK: Duration = Duration::from_millis(20);
/// How long a node stays at least, or half of its drain time.
const STAY: Duration = Duration::from_secs(10);

/// How long proxies get to hear that a pod has left the endpoints. Nothing tells when they have; in practice
/// it takes about a second.
fn leave_the_proxies(drain_timeout: Duration) -> Duration {
    (drain_timeout / 10).min(Duration::from_secs(5))
}
