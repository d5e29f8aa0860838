//! Following the log: XREAD BLOCK on a connection of its own, where the log is also trimmed now and then.

use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::{Cmd, streams::StreamReadReply};

use super::{ANSWER, Connection, Redis, broken, entry, trim::Trimmer};
use crate::{
    broker::{BrokerError, Tail, Tailed},
    event::Position,
};

/// How long a reader waits for news before it looks whether the log is still there.
const BLOCK: Duration = Duration::from_secs(2);
/// Events read at a time.
const PAGE: usize = 512;

/// One who follows.
pub struct Follower<'a> {
    redis: &'a Redis,
    connection: Option<Connection>,
    after: Position,
    trimmer: Trimmer,
    /// It failed, and has told nothing since.
    failed: bool,
}

impl<'a> Follower<'a> {
    pub fn new(redis: &'a Redis, after: Position) -> Self {
        Self { redis, connection: None, after, trimmer: Trimmer::default(), failed: false }
    }

    /// Whether the log is still the one that is followed. A reset otherwise.
    async fn check(&mut self, connection: &mut Connection) -> Result<Option<Tailed>, BrokerError> {
        let extent = self.redis.open_on(connection).await.map_err(broken)?;
        if extent.last.epoch == self.after.epoch {
            return Ok(None);
        }
        self.after = extent.last;
        self.redis.saw(extent.last);
        Ok(Some(Tailed::Reset(extent)))
    }

    fn xread(&self) -> Cmd {
        let mut xread = redis::cmd("XREAD");
        xread.arg("COUNT").arg(PAGE).arg("BLOCK").arg(BLOCK.as_millis().to_string());
        xread.arg("STREAMS").arg(&self.redis.key).arg(entry::id(self.after));
        xread
    }

    async fn news(&mut self, connection: &mut Connection) -> Result<Tailed, BrokerError> {
        loop {
            self.trimmer.trim(self.redis, connection).await?;
            let reply: Option<StreamReadReply> = self.xread().query_async(connection).await.map_err(broken)?;
            let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
            let events = entries.map(|found| entry::event(&self.redis.key, &found)).collect::<Result<Vec<_>, _>>()?;
            let Some(last) = events.last().map(|event| event.position) else {
                if let Some(reset) = self.check(connection).await? {
                    return Ok(reset);
                }
                // Who was told of the failure is to know that it is over, and may wait for an event for long.
                if self.failed {
                    return Ok(Tailed::Events(events));
                }
                continue;
            };
            // Otherwise they are read again: nobody gets an event that a failover may take back.
            self.redis.read_is_confirmed(connection).await?;
            self.trimmer.grown();
            self.redis.saw(last);
            self.after = last;
            return Ok(Tailed::Events(events));
        }
    }

    async fn attempt(&mut self) -> Result<Tailed, BrokerError> {
        let mut connection = if let Some(connection) = self.connection.take() {
            connection
        } else {
            let mut connection = self.redis.route.connect(BLOCK + ANSWER).await?;
            if let Some(reset) = self.check(&mut connection).await? {
                self.connection = Some(connection);
                return Ok(reset);
            }
            connection
        };
        let news = self.news(&mut connection).await?;
        self.connection = Some(connection);
        Ok(news)
    }
}

impl Tail for Follower<'_> {
    fn next(&mut self) -> BoxFuture<'_, Result<Tailed, BrokerError>> {
        Box::pin(async move {
            let told = self.attempt().await;
            self.failed = told.is_err();
            told
        })
    }
}
