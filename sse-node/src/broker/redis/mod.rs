//! The log as a Redis stream: one entry an event, its id `<epoch>-<number>`, so that Redis itself counts
//! (`XADD key <epoch>-*`, Redis 7 and Valkey) and a position needs no translation.
//!
//! The stream is made by `open.lua` alone, which every new connection runs first; events are added with
//! NOMKSTREAM. So a log that was lost, or lost its end, is noticed by whoever next writes or reads, and
//! begins anew with a greater epoch, never silently at 1.

mod append;
mod broadcast;
mod entry;
mod follow;
mod link;
mod pace;
mod revocations;
mod trim;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures_util::future::BoxFuture;
pub use link::Address;
use link::Shared;
pub(crate) use link::broken;
use parking_lot::{Mutex, RwLock};
use redis::{RedisError, Script, aio::MultiplexedConnection, streams::StreamRangeReply};
use tokio::time::Instant;

use self::{broadcast::Listener, follow::Follower};
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
    address: Address,
    shared: Shared,
    key: String,
    retention: RwLock<Retention>,
    seen: Mutex<Seen>,
    clock: Clock,
}

/// What this node knows of the log.
#[derive(Default)]
struct Seen {
    /// The newest position: a log that ends before it has lost something.
    last: Position,
    /// Nobody appends until then.
    settled: Option<Instant>,
}

impl Redis {
    pub fn new(address: Address, key: String, retention: Retention) -> Self {
        Self::with_clock(address, key, retention, Clock::default())
    }

    pub fn with_clock(address: Address, key: String, retention: Retention, clock: Clock) -> Self {
        let shared = Shared::new(address.clone(), ANSWER);
        Self { address, shared, key, retention: RwLock::new(retention), seen: Mutex::default(), clock }
    }

    fn retention(&self) -> Retention {
        *self.retention.read()
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

    async fn open_on(&self, connection: &mut MultiplexedConnection) -> Result<Extent, RedisError> {
        let seen = self.seen.lock().last;
        let mut open = OPEN.key(&self.key);
        open.key(self.beside("process"));
        open.arg(seen.epoch).arg(seen.seq).arg(self.clock.now()).arg(SETTLE.as_millis().to_string());
        let (epoch, first, last, settle): (u64, u64, u64, u64) = open.invoke_async(connection).await?;
        let extent = Extent { first: Position::new(epoch, first), last: Position::new(epoch, last) };
        self.saw(extent.last);
        self.seen.lock().settled = (settle > 0).then(|| Instant::now() + Duration::from_millis(settle));
        Ok(extent)
    }
}

impl Broker for Redis {
    fn open(&self) -> BoxFuture<'_, Result<Extent, BrokerError>> {
        Box::pin(self.open_shared())
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
            page.ids.iter().map(|found| entry::event(&self.key, found)).collect()
        })
    }

    fn tail(&self, after: Position) -> Box<dyn Tail + '_> {
        Box::new(Follower::new(self, after))
    }

    fn retain(&self, retention: Retention) {
        *self.retention.write() = retention;
    }

    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.add_revocation(revocation))
    }

    fn revocations<'a>(&'a self, after: &'a Mark) -> BoxFuture<'a, Result<Found, BrokerError>> {
        Box::pin(self.revocations_after(after))
    }

    fn broadcasts(&self, channel: &str, max_bytes: usize) -> Option<Box<dyn Broadcasts + '_>> {
        Some(Box::new(Listener::new(&self.address, channel, max_bytes)))
    }

    fn turn<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Turn, BrokerError>> {
        Box::pin(self.take_turn(ask))
    }

    fn counts(&self) -> Option<Arc<dyn Counts>> {
        Some(Arc::new(Fleet::new(self.address.clone(), self.beside("limit"))))
    }
}
