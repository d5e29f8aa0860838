//! Keeps the ring filled from the broker and tells subscribers when it has grown.
//!
//! One task follows the log; whatever happens to the broker, subscribers keep their connections, and the
//! task goes on where it was when the broker is back.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::sync::watch;
use tracing::{info, warn};

use super::{
    ring::{Limits, Read, Ring},
    topics::Topics,
};
use crate::{
    broker::{Broker, BrokerError, Extent, Tailed},
    event::Position,
    metrics::Metrics,
};

/// The most that a node keeps in memory of the log, in bytes of frames. What is older comes from the broker.
const RING_BYTES: usize = 64 << 20;

/// The ring, and the news of it.
pub struct Hub {
    ring: RwLock<Ring>,
    /// The newest position; none until the log has been opened for the first time.
    head: watch::Sender<Option<Position>>,
    broker: Arc<dyn Broker>,
    metrics: Metrics,
}

impl Hub {
    pub fn new(broker: Arc<dyn Broker>, max_events: usize, metrics: Metrics) -> Self {
        let limits = Limits { events: max_events, bytes: RING_BYTES };
        Self {
            ring: RwLock::new(Ring::new(Position::default(), limits)),
            head: watch::Sender::new(None),
            broker,
            metrics,
        }
    }

    /// The newest position, and how to learn that it has moved. None until the log is open.
    pub fn head(&self) -> watch::Receiver<Option<Position>> {
        self.head.subscribe()
    }

    /// Whether the log has been open once: from then on the node can serve, broker or no broker.
    pub fn is_open(&self) -> bool {
        self.head.borrow().is_some()
    }

    pub fn broker(&self) -> &dyn Broker {
        &*self.broker
    }

    pub fn read(&self, cursor: Position, topics: &Topics, limit: usize) -> Read {
        self.ring.read().read(cursor, topics, limit)
    }

    /// Follows the log for ever.
    pub async fn follow(&self) {
        let mut backoff = Backoff::default();
        let extent = loop {
            match self.broker.open().await {
                Ok(extent) => break extent,
                Err(error) => self.away(&error, &mut backoff).await,
            }
        };
        self.back(&mut backoff);
        self.restart(extent);
        let mut tail = self.broker.tail(extent.last);
        loop {
            match tail.next().await {
                Ok(tailed) => {
                    self.back(&mut backoff);
                    self.take(tailed);
                }
                Err(error) => self.away(&error, &mut backoff).await,
            }
        }
    }

    fn take(&self, tailed: Tailed) {
        match tailed {
            Tailed::Events(events) => {
                let Some(last) = events.last().map(|event| event.position) else { return };
                self.metrics.events_received.inc_by(events.len() as u64);
                let mut ring = self.ring.write();
                for event in &events {
                    ring.push(event);
                }
                self.metrics.ring_events.set(i64::try_from(ring.len()).unwrap_or(i64::MAX));
                self.metrics.ring_bytes.set(i64::try_from(ring.bytes()).unwrap_or(i64::MAX));
                drop(ring);
                self.head.send_replace(Some(last));
            }
            Tailed::Reset(extent) => {
                warn!(
                    epoch = extent.last.epoch,
                    "the log began anew: what it held before is lost; subscribers are told by event: reset"
                );
                self.metrics.resets.inc();
                self.restart(extent);
            }
        }
    }

    fn restart(&self, extent: Extent) {
        // A log that began anew may hold events already; they are read from the broker, from its beginning.
        self.ring.write().restart(extent.last);
        self.head.send_replace(Some(extent.last));
    }

    fn back(&self, backoff: &mut Backoff) {
        if self.metrics.broker_up.get() == 0 {
            info!("the broker answers");
            self.metrics.broker_up.set(1);
        }
        *backoff = Backoff::default();
    }

    async fn away(&self, error: &BrokerError, backoff: &mut Backoff) {
        self.metrics.broker_errors.inc();
        if self.metrics.broker_up.get() == 1 || backoff.tries == 0 {
            warn!(%error, "the broker does not answer; subscribers stay connected, publishers get 503");
        }
        self.metrics.broker_up.set(0);
        tokio::time::sleep(backoff.next()).await;
    }
}

/// From 50 ms to 2 s, so that a restarted broker is found soon and a dead one is not hammered.
#[derive(Default)]
struct Backoff {
    tries: u32,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let millis = 50_u64 << self.tries.min(5);
        self.tries += 1;
        Duration::from_millis(fastrand::u64(millis / 2..=millis) + u64::from(self.tries > 6) * 400)
    }
}
