//! Keeps the ring filled from the broker and tells subscribers when it has grown.
//!
//! One task follows the log; whatever happens to the broker, subscribers keep their connections, and the
//! task goes on where it was when the broker is back.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use ssefleet_crds::{Stream, validated::History};
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use super::{
    audience::{Filter, Newcomer, Row},
    clock::{Clock, ticks},
    replay::Replay,
    ring::{Limits, Ring},
    shard::{Command, Over, Shard, Socket},
    tap::Tap,
    topics::Topics,
};
use crate::{
    broker::{Appended, Broker, BrokerError, Extent, Once, Tailed, health::Health},
    encode::{Encoder, Frame},
    event::{Event, NewEvent, Position},
    metrics::{Closed, Metrics},
};

/// The ring, and the shards that read it.
pub struct Hub {
    ring: Arc<RwLock<Ring>>,
    /// How events look now. Held by whoever adds to the ring or to the pages, so that after a change nothing comes there
    /// that was encoded before it.
    encoder: Arc<RwLock<Encoder>>,
    replay: Arc<Replay>,
    /// The newest position; none until the log has been opened for the first time.
    head: watch::Sender<Option<Position>>,
    broker: Arc<dyn Broker>,
    health: Health,
    metrics: Metrics,
    clock: Clock,
    shards: Vec<Shard>,
    next_shard: AtomicUsize,
    /// Those who watch topics.
    taps: Mutex<Vec<(Topics, Tap)>>,
}

impl Hub {
    /// With a shard for each core that this process may use.
    pub fn start(broker: Arc<dyn Broker>, stream: &Stream, metrics: Metrics) -> io::Result<Self> {
        let clock = Clock::default();
        let ring = Arc::new(RwLock::new(Ring::new(Position::default(), limits(&stream.history))));
        let encoder = Arc::new(RwLock::new(Encoder::new(&stream.compression, &metrics)));
        let replay = Replay::new(broker.clone(), encoder.clone(), metrics.clone(), clock);
        let timing = (&stream.connections).into();
        let shard = |n| Shard::start(n, ring.clone(), replay.clone(), metrics.clone(), timing, clock);
        let cores = std::thread::available_parallelism().map_or(1, Into::into);
        let shards = (0..cores).map(shard).collect::<Result<_, _>>()?;
        let head = watch::Sender::new(None);
        Ok(Self {
            ring,
            encoder,
            replay,
            head,
            broker,
            health: Health::default(),
            metrics,
            clock,
            shards,
            next_shard: AtomicUsize::new(0),
            taps: Mutex::default(),
        })
    }

    /// The newest position. None until the log is open.
    pub fn head(&self) -> Option<Position> {
        *self.head.borrow()
    }

    /// Whether the log has been open once: from then on the node can serve, broker or no broker.
    pub fn is_open(&self) -> bool {
        self.head.borrow().is_some()
    }

    pub fn broker(&self) -> &dyn Broker {
        &*self.broker
    }

    /// How the broker does.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Adds events to the log.
    pub async fn append(&self, batch: Vec<NewEvent>) -> Result<Vec<Position>, BrokerError> {
        let appended = self.broker.append(batch).await;
        self.health.wrote(appended.as_ref().map(drop));
        appended
    }

    /// The same, once.
    pub async fn append_once(&self, once: Once, batch: Vec<NewEvent>) -> Result<Appended, BrokerError> {
        let appended = self.broker.append_once(once, batch).await;
        self.health.wrote(appended.as_ref().map(drop));
        appended
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Hands a connection over to a shard, which owns it from here on.
    pub fn join(&self, newcomer: Newcomer<Socket>) {
        let turn = self.next_shard.fetch_add(1, Ordering::Relaxed);
        if let Some(shard) = self.shards.get(turn % self.shards.len()) {
            shard.post.send(Command::Join(Box::new(newcomer)));
        }
    }

    /// Ends some streams, in order.
    pub fn close_some(&self, count: usize, why: Closed) {
        // Whose turn it is moves on, so that a rate below one for each shard is no rate of none for some.
        let turn = self.next_shard.fetch_add(count, Ordering::Relaxed);
        for (n, shard) in self.shards.iter().enumerate() {
            let extra = (turn + n) % self.shards.len() < count % self.shards.len();
            let share = count / self.shards.len() + usize::from(extra);
            if share > 0 {
                shard.post.send(Command::Close(share, why));
            }
        }
    }

    /// Ends all streams. Returns when that is done.
    pub async fn close_all(&self, why: Closed) {
        for shard in &self.shards {
            shard.post.send(Command::Close(usize::MAX, why));
        }
        // Shards do one thing after the other.
        self.list(&Filter::default()).await;
    }

    /// Ends the streams of those whose tie is no longer good.
    pub fn close_where(&self, is_over: &Over, why: Closed) {
        for shard in &self.shards {
            shard.post.send(Command::CloseWhere(is_over.clone(), why));
        }
    }

    /// Takes over what was declared anew.
    pub fn reconfigure(&self, stream: &Stream) {
        self.ring.write().limit(limits(&stream.history), self.clock.now());
        self.broker.retain((&stream.history).into());
        self.broker.confirm(stream.confirm);
        for shard in &self.shards {
            shard.post.send(Command::Retime((&stream.connections).into()));
        }
        let wanted = Encoder::new(&stream.compression, &self.metrics);
        let mut encoder = self.encoder.write();
        if encoder.differs(&wanted) {
            // Who lacks some of these events reads them anew from the log, in their new form.
            self.replay.forget();
            self.ring.write().empty(self.clock.now());
        }
        *encoder = wanted;
    }

    /// Those subscribers that a filter lets through, by id.
    pub async fn list(&self, filter: &Filter) -> Vec<Row> {
        let mut replies = Vec::new();
        for shard in &self.shards {
            let (reply, row) = oneshot::channel();
            shard.post.send(Command::List(filter.clone(), reply));
            replies.push(row);
        }
        let mut rows = Vec::new();
        for reply in replies {
            rows.extend(reply.await.unwrap_or_default());
        }
        rows.sort_unstable_by_key(|row: &Row| row.id);
        rows.truncate(filter.limit);
        rows
    }

    /// Shows what is written to a connection, from now on; false if there is none of this id.
    pub async fn tap_connection(&self, id: u64, tap: Tap) -> bool {
        let mut tap = tap;
        for shard in &self.shards {
            let (reply, left) = oneshot::channel();
            shard.post.send(Command::Tap(id, tap, reply));
            match left.await {
                Ok(Some(left)) => tap = left,
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    /// Shows the events of some topics, from now on.
    pub fn tap_topics(&self, topics: Topics, tap: Tap) {
        let mut taps = self.taps.lock();
        taps.retain(|(_, tap)| tap.is_read());
        taps.push((topics, tap));
    }

    fn show(&self, events: &[Event], frames: &[Frame]) {
        self.taps.lock().retain_mut(|(topics, tap)| {
            let mut wanted = events.iter().zip(frames).filter(|(event, _)| topics.want(&event.new.topic));
            wanted.all(|(_, frame)| tap.copy(&frame.plain()))
        });
    }

    /// Lets go of what gets too old, for ever.
    pub async fn age(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut ring = self.ring.write();
            ring.trim(self.clock.now());
            self.measure(&ring);
        }
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

    /// Passes on what comes by a channel, for ever; at once over if the broker has none.
    pub async fn relay(&self, channel: &str, max_bytes: usize) {
        let Some(mut broadcasts) = self.broker.broadcasts(channel, max_bytes) else { return };
        let mut backoff = Backoff::default();
        loop {
            match broadcasts.next().await {
                Ok(payload) => {
                    backoff = Backoff::default();
                    self.metrics.broadcasts.inc();
                    let frame = self.encoder.read().broadcast(&payload);
                    for shard in &self.shards {
                        shard.post.send(Command::Broadcast(frame.clone()));
                    }
                }
                Err(error) => {
                    if backoff.tries == 0 {
                        warn!(%error, channel, "broadcasts do not come through");
                    }
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    fn take(&self, tailed: Tailed) {
        match tailed {
            Tailed::Events(events) => {
                let Some(last) = events.last().map(|event| event.position) else { return };
                self.metrics.events_received.inc_by(events.len() as u64);
                let encoder = self.encoder.read();
                // Before the lock that shards wait for: compressing takes time.
                let frames: Vec<Frame> = events.iter().map(|event| encoder.event(event)).collect();
                self.show(&events, &frames);
                let mut ring = self.ring.write();
                let now = self.clock.now();
                for (event, frame) in events.iter().zip(frames) {
                    ring.push(event, frame, now);
                }
                self.measure(&ring);
                drop((ring, encoder));
                self.tell(last);
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

    fn measure(&self, ring: &Ring) {
        self.metrics.ring_events.set(i64::try_from(ring.len()).unwrap_or(i64::MAX));
        self.metrics.ring_bytes.set(i64::try_from(ring.bytes()).unwrap_or(i64::MAX));
    }

    fn restart(&self, extent: Extent) {
        // A log that began anew may hold events already; they are read from the broker, from its beginning.
        self.ring.write().restart(extent.last);
        self.tell(extent.last);
    }

    fn tell(&self, head: Position) {
        self.head.send_replace(Some(head));
        for shard in &self.shards {
            shard.post.wake();
        }
    }

    fn back(&self, backoff: &mut Backoff) {
        if self.metrics.broker_up.get() == 0 {
            info!("the broker answers");
            self.metrics.broker_up.set(1);
        }
        self.health.read(Ok(()));
        *backoff = Backoff::default();
    }

    async fn away(&self, error: &BrokerError, backoff: &mut Backoff) {
        self.metrics.broker_errors.inc();
        if self.metrics.broker_up.get() == 1 || backoff.tries == 0 {
            warn!(%error, "the broker does not answer; subscribers stay connected, publishers get 503");
        }
        self.metrics.broker_up.set(0);
        self.health.read(Err(error));
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

fn limits(history: &History) -> Limits {
    Limits { events: history.max_events, bytes: history.max_bytes, age: ticks(history.max_age) }
}
