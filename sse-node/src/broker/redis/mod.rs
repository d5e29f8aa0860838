//! The log as a Redis stream: one entry an event, its id `<epoch>-<number>`, so that Redis itself counts
//! (`XADD key <epoch>-*`, Redis 7 and Valkey) and a position needs no translation.
//!
//! The stream is made by `open.lua` alone; events are added with NOMKSTREAM. So a log that was lost is
//! noticed by whoever next writes or reads, and begins anew with a greater epoch, never silently at 1.

mod link;

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
pub use link::Address;
use link::{Shared, broken};
use parking_lot::Mutex;
use redis::{
    Cmd, Pipeline, RedisError, Script,
    aio::MultiplexedConnection,
    streams::{StreamId, StreamRangeReply, StreamReadReply},
};

use super::{Broker, BrokerError, Extent, Tail, Tailed};
use crate::event::{Event, NewEvent, Position};

static OPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("open.lua")));

/// How long Redis may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a reader waits for news before it looks whether the log is still there.
const BLOCK: Duration = Duration::from_secs(2);
/// Events read at a time.
const PAGE: usize = 512;

/// A log in Redis.
pub struct Redis {
    address: Address,
    shared: Shared,
    key: String,
    max_events: usize,
    /// The newest position that this node has seen: a log that ends before it has lost something.
    seen: Mutex<Position>,
}

impl Redis {
    pub fn new(address: Address, key: String, max_events: usize) -> Self {
        let shared = Shared::new(address.clone(), ANSWER);
        Self { address, shared, key, max_events, seen: Mutex::new(Position::default()) }
    }

    fn saw(&self, position: Position) {
        let mut seen = self.seen.lock();
        *seen = position.max(*seen);
    }

    async fn open_on(&self, connection: &mut MultiplexedConnection) -> Result<Extent, RedisError> {
        let seen = *self.seen.lock();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let fresh = u64::try_from(now).unwrap_or(u64::MAX);
        let (epoch, first, last): (u64, u64, u64) =
            OPEN.key(&self.key).arg(seen.epoch).arg(seen.seq).arg(fresh).invoke_async(connection).await?;
        let extent = Extent { first: Position::new(epoch, first), last: Position::new(epoch, last) };
        self.saw(extent.last);
        Ok(extent)
    }

    /// All of the batch or none of it; none if there is no stream or it is of another epoch by now.
    async fn append_to(&self, epoch: u64, batch: &[NewEvent]) -> Result<Option<Vec<Position>>, BrokerError> {
        let mut pipeline = Pipeline::with_capacity(batch.len());
        pipeline.atomic();
        for new in batch {
            let xadd = pipeline.cmd("XADD").arg(&self.key).arg("NOMKSTREAM").arg("MAXLEN").arg("~");
            xadd.arg(self.max_events).arg(format!("{epoch}-*"));
            xadd.arg("t").arg(&new.topic).arg("d").arg(&new.data);
            if let Some(event) = &new.event {
                xadd.arg("e").arg(event);
            }
        }
        let added = self.shared.run(async |connection| pipeline.query_async::<Vec<Option<String>>>(connection).await);
        match added.await {
            Ok(ids) => ids.into_iter().map(|id| id.map(|id| self.position(&id)).transpose()).collect(),
            // The epoch is older than the newest entry's: the log began anew since.
            Err(BrokerError::Refused(error)) if error.to_string().contains("equal or smaller") => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn position(&self, id: &str) -> Result<Position, BrokerError> {
        let parsed = id.split_once('-').and_then(|(epoch, seq)| Some((epoch.parse().ok()?, seq.parse().ok()?)));
        let (epoch, seq) = parsed.ok_or_else(|| self.not_ours(format!("an entry has the id {id}")))?;
        Ok(Position::new(epoch, seq))
    }

    fn event(&self, entry: &StreamId) -> Result<Event, BrokerError> {
        let text = |field: &str| -> Option<String> { entry.get(field) };
        let (Some(topic), Some(data)) = (text("t"), text("d")) else {
            return Err(self.not_ours(format!("the entry {} has no topic or no data", entry.id)));
        };
        Ok(Event { position: self.position(&entry.id)?, new: NewEvent { topic, event: text("e"), data } })
    }

    fn not_ours(&self, why: String) -> BrokerError {
        BrokerError::NotOurs { key: self.key.clone(), why }
    }
}

fn id(position: Position) -> String {
    format!("{}-{}", position.epoch, position.seq)
}

impl Broker for Redis {
    fn open(&self) -> BoxFuture<'_, Result<Extent, BrokerError>> {
        Box::pin(self.shared.run(async |connection| self.open_on(connection).await))
    }

    fn append(&self, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Position>, BrokerError>> {
        Box::pin(async move {
            let mut epoch = self.seen.lock().epoch;
            // The first try may find that the log began anew, once; more than that is not a log.
            for _ in 0..3 {
                if epoch != 0
                    && let Some(positions) = self.append_to(epoch, &batch).await?
                {
                    return Ok(positions);
                }
                epoch = self.open().await?.last.epoch;
            }
            Err(BrokerError::Unstable)
        })
    }

    fn read_after(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, BrokerError>> {
        Box::pin(async move {
            let mut xrange = redis::cmd("XRANGE");
            xrange.arg(&self.key).arg(format!("({}", id(after))).arg("+").arg("COUNT").arg(limit);
            let page: StreamRangeReply =
                self.shared.run(async |connection| xrange.query_async(connection).await).await?;
            page.ids.iter().map(|entry| self.event(entry)).collect()
        })
    }

    fn tail(&self, after: Position) -> Box<dyn Tail + '_> {
        Box::new(Follower { redis: self, connection: None, after })
    }
}

/// Reads with XREAD BLOCK on a connection of its own.
struct Follower<'a> {
    redis: &'a Redis,
    connection: Option<MultiplexedConnection>,
    after: Position,
}

impl Follower<'_> {
    /// Whether the log is still the one that is followed. A reset otherwise.
    async fn check(&mut self, connection: &mut MultiplexedConnection) -> Result<Option<Tailed>, BrokerError> {
        let extent = self.redis.open_on(connection).await.map_err(broken)?;
        if extent.last.epoch == self.after.epoch {
            return Ok(None);
        }
        self.after = extent.last;
        Ok(Some(Tailed::Reset(extent)))
    }

    fn xread(&self) -> Cmd {
        let mut xread = redis::cmd("XREAD");
        xread.arg("COUNT").arg(PAGE).arg("BLOCK").arg(BLOCK.as_millis().to_string());
        xread.arg("STREAMS").arg(&self.redis.key).arg(id(self.after));
        xread
    }

    async fn news(&mut self, connection: &mut MultiplexedConnection) -> Result<Tailed, BrokerError> {
        loop {
            let reply: Option<StreamReadReply> = self.xread().query_async(connection).await.map_err(broken)?;
            let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
            let events = entries.map(|entry| self.redis.event(&entry)).collect::<Result<Vec<_>, _>>()?;
            let Some(last) = events.last().map(|event| event.position) else {
                if let Some(reset) = self.check(connection).await? {
                    return Ok(reset);
                }
                continue;
            };
            self.redis.saw(last);
            self.after = last;
            return Ok(Tailed::Events(events));
        }
    }
}

impl Tail for Follower<'_> {
    fn next(&mut self) -> BoxFuture<'_, Result<Tailed, BrokerError>> {
        Box::pin(async move {
            let mut connection = if let Some(connection) = self.connection.take() {
                connection
            } else {
                let mut connection = self.redis.address.connect(BLOCK + ANSWER).await?;
                if let Some(reset) = self.check(&mut connection).await? {
                    self.connection = Some(connection);
                    return Ok(reset);
                }
                connection
            };
            let news = self.news(&mut connection).await?;
            self.connection = Some(connection);
            Ok(news)
        })
    }
}
