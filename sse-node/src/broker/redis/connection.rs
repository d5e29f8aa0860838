//! A connection that is there: what is asked on it, by whoever, goes out in that order.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use redis::{
    Cmd, Pipeline, RedisFuture, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::{sync::Mutex, task::AbortHandle};

/// A connection that several may use at a time, closed when none does any more.
#[derive(Clone)]
pub struct Connection {
    redis: MultiplexedConnection,
    /// Who waits for replicas on it.
    pub rounds: Arc<Rounds>,
    _driver: Arc<Driver>,
}

struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// One that `driver` moves the bytes of.
    pub fn driven_by(redis: MultiplexedConnection, driver: impl Future<Output = ()> + Send + 'static) -> Self {
        let driver = Arc::new(Driver(tokio::spawn(driver).abort_handle()));
        Self { redis, rounds: Arc::default(), _driver: driver }
    }

    /// The same, with answers that may take so long.
    pub fn patient(&self, answer_within: Duration) -> Self {
        let mut patient = self.clone();
        patient.redis.set_response_timeout(answer_within);
        patient
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.redis.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.redis.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.redis.get_db()
    }
}

/// Who waits on one connection until replicas have what was written there: `confirm`.
#[derive(Default)]
pub struct Rounds {
    /// How many have asked.
    pub asked: AtomicU64,
    pub last: Mutex<Round>,
}

/// The last round.
#[derive(Default)]
pub struct Round {
    /// It was for so many of those who have asked.
    pub covers: u64,
    pub have: u32,
}
