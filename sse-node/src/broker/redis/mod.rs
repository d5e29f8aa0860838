//! The log as a Redis stream: one entry an event, its id `<epoch>-<number>`, so that Redis itself counts
//! (`XADD key <epoch>-*`, Redis 7 and Valkey) and a position needs no translation.
//!
//! The stream is made by `open.lua` alone, which every new connection runs first; events are added with
//! NOMKSTREAM. So a log that was lost, or lost its end, is noticed by whoever next writes or reads, and
//! begins anew with a greater epoch, never silently at 1.

mod address;
mod append;
mod broadcast;
mod confirm;
pub(crate) mod connection;
mod dial;
mod entry;
mod follow;
mod link;
mod login;
mod pace;
pub(crate) mod primary;
pub(crate) mod refused;
mod revocations;
mod trim;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use redis::{RedisError, Script, streams::StreamRangeReply};
use ssefleet_crds::validated::Confirm;
use tokio::time::Instant;
use tracing::info;

pub use self::{
    address::{Address, Topology},
    primary::Route,
};
use self::{broadcast::Listener, connection::Connection, follow::Follower, link::Shared, refused::broken};
use super::{
    Appended, Broadcasts, Broker, BrokerError, Extent, Once, Retention, Tail,
    clock::Clock,
    pace::{Ask, Turn},
    revocation::{Found, Mark, Revocation},
};
use crate::{
    event::{Event, NewEvent, Position},
    limits::{counts::Counts, fleet::Fleet},
};

static OPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("open.lua")));

/// How long Redis may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long nobody appends after Redis was restarted: every node that follows the log tries to reach Redis
/// at least every 2 s, and then tells what it has seen.
const SETTLE: Duration = Duration::from_secs(3);

/// A log in Redis.
pub struct Redis {
    route: Route,
    shared: Shared,
    /// For events that replicas must confirm: WAIT holds up the connection it runs on.
    appends: Shared,
    key: String,
    retention: RwLock<Retention>,
    /// None: never, whatever is declared.
    confirm: RwLock<Option<Confirm>>,
    seen: Mutex<Seen>,
    clock: Clock,
}

/// What this node knows of the log.
#[derive(Default)]
struct Seen {
    /// The newest position that was acknowledged or shown: a log that ends before it has lost something.
    last: Position,
    /// Nobody appends until then.
    settled: Option<Instant>,
}

impl Redis {
    pub fn new(address: Address, key: String, retention: Retention) -> Self {
        Self::with_clock(address, key, retention, Clock::default())
    }

    pub fn with_clock(address: Address, key: String, retention: Retention, clock: Clock) -> Self {
        let route = Route::new(address, key.clone());
        Self {
            shared: Shared::new(route.clone(), ANSWER),
            appends: Shared::new(route.clone(), ANSWER),
            route,
            key,
            retention: RwLock::new(retention),
            confirm: RwLock::default(),
            seen: Mutex::default(),
            clock,
        }
    }

    /// One that acknowledges and shows only what so many replicas have.
    #[must_use]
    pub fn confirmed(self, confirm: Confirm) -> Self {
        *self.confirm.write() = Some(confirm);
        self
    }

    fn retention(&self) -> Retention {
        *self.retention.read()
    }

    fn wanted(&self) -> Confirm {
        self.confirm.read().unwrap_or(Confirm::NONE)
    }

    fn saw(&self, position: Position) {
        let mut seen = self.seen.lock();
        seen.last = position.max(seen.last);
    }

    /// A key that a Redis Cluster keeps on the node that has the log, as scripts need it.
    fn beside(&self, what: &str) -> String {
        // A hash tag is what stands between the first brace and the next; without one, the whole key counts.
        let tagged = self.key.split_once('{').is_some_and(|(_, rest)| rest.find('}').is_some_and(|end| end > 0));
        if tagged { format!("{}:{what}", self.key) } else { format!("{{{}}}:{what}", self.key) }
    }

    async fn open_on(&self, connection: &mut Connection) -> Result<Extent, RedisError> {
        let seen = self.seen.lock().last;
        let mut open = OPEN.key(&self.key);
        open.key(self.beside("process"));
        open.arg(seen.epoch).arg(seen.seq).arg(self.clock.now()).arg(SETTLE.as_millis().to_string());
        let (epoch, first, last, settle): (u64, u64, u64, u64) = open.invoke_async(connection).await?;
        let extent = Extent { first: Position::new(epoch, first), last: Position::new(epoch, last) };
        // What no replica has may be lost by a failover, and is not seen before one has it.
        let sure = self.wanted().replicas == 0;
        self.saw(if sure { extent.last } else { Position::new(epoch, 0) });
        self.seen.lock().settled = (settle > 0).then(|| Instant::now() + Duration::from_millis(settle));
        Ok(extent)
    }
}

impl Broker for Redis {
    fn open(&self) -> BoxFuture<'_, Result<Extent, BrokerError>> {
        Box::pin(async move {
            let extent = self.open_shared().await?;
            // Whoever opens goes on from here, so it counts as seen: if it can't be confirmed now and is lost, then the
            // log begins anew.
            let confirming = self.settle_reads().await;
            if let Err(error) = confirming {
                info!(%error, "the log is opened all the same");
            }
            self.saw(extent.last);
            Ok(extent)
        })
    }

    fn append(&self, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Position>, BrokerError>> {
        Box::pin(async move { self.append_batch(&batch).await })
    }

    fn append_once(&self, once: Once, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Appended, BrokerError>> {
        Box::pin(async move { self.append_memo(&once, &batch).await })
    }

    fn read_after(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, BrokerError>> {
        Box::pin(async move {
            let mut xrange = redis::cmd("XRANGE");
            xrange.arg(&self.key).arg(format!("({}", entry::id(after))).arg("+").arg("COUNT").arg(limit);
            let page: StreamRangeReply = self.run(async |connection| xrange.query_async(connection).await).await?;
            let events = page.ids.iter().map(|found| entry::event(&self.key, found));
            if self.wanted().replicas == 0 {
                return events.collect();
            }
            // Nothing is shown that this node does not know to be confirmed.
            let seen = self.seen.lock().last;
            events.filter(|event| event.as_ref().map_or(true, |event| event.position <= seen)).collect()
        })
    }

    fn tail(&self, after: Position) -> Box<dyn Tail + '_> {
        Box::new(Follower::new(self, after))
    }

    fn retain(&self, retention: Retention) {
        *self.retention.write() = retention;
    }

    fn confirm(&self, confirm: Confirm) {
        if let Some(declared) = &mut *self.confirm.write() {
            *declared = confirm;
        }
    }

    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.add_revocation(revocation))
    }

    fn revocations<'a>(&'a self, after: &'a Mark) -> BoxFuture<'a, Result<Found, BrokerError>> {
        Box::pin(self.revocations_after(after))
    }

    fn broadcasts(&self, channel: &str, max_bytes: usize) -> Option<Box<dyn Broadcasts + '_>> {
        Some(Box::new(Listener::new(&self.route, channel, max_bytes)))
    }

    fn turn<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Turn, BrokerError>> {
        Box::pin(self.take_turn(ask))
    }

    fn counts(&self) -> Option<Arc<dyn Counts>> {
        Some(Arc::new(Fleet::new(self.route.clone(), self.beside("limit"))))
    }
}
