//! Where events are kept: an append-only log, the same for every node of a stream.
//!
//! Memory and Redis keep the same contract, which `tests/broker_contract.rs` holds both to: positions count up
//! by one; whoever reads after a position gets all that the log still has, in order; a log that began anew
//! has a greater epoch, so nothing is ever given the same position twice.

pub mod memory;
pub mod redis;

use futures_util::future::BoxFuture;

use crate::event::{Event, NewEvent, Position};

/// An append-only log of events.
pub trait Broker: Send + Sync {
    /// Makes sure that there is a log, and says what it holds.
    fn open(&self) -> BoxFuture<'_, Result<Extent, BrokerError>>;

    /// Adds events, all or none. When it answers, the log has them.
    fn append(&self, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Position>, BrokerError>>;

    /// The first events after a position that the log still has, at most `limit`; empty if there are none.
    fn read_after(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, BrokerError>>;

    /// Follows the log from a position on.
    fn tail(&self, after: Position) -> Box<dyn Tail + '_>;
}

/// A reader that follows the log. After an error it may be asked again, and goes on where it was.
pub trait Tail: Send {
    /// Waits for news.
    fn next(&mut self) -> BoxFuture<'_, Result<Tailed, BrokerError>>;
}

/// News from the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Tailed {
    Events(Vec<Event>),
    /// The log that was followed is gone, and another has begun. The tail goes on after its last event.
    Reset(Extent),
}

/// What a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The oldest event; the next to come, if there is none.
    pub first: Position,
    /// The newest position; `seq` 0 before the first event.
    pub last: Position,
}

impl Extent {
    /// The position of the next event to come.
    pub fn next(&self) -> Position {
        Position { seq: self.last.seq + 1, ..self.last }
    }
}

/// Why a broker did not do as asked. Each is a sentence for whoever runs the fleet.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("Redis does not answer: {0}")]
    Away(#[source] ::redis::RedisError),
    #[error("Redis refuses: {0}")]
    Refused(#[source] ::redis::RedisError),
    #[error("Redis has no memory left for more events: raise its memory limit or lower history.maxEvents")]
    Full,
    #[error("what lies in Redis under {key} is not a log of ours: {why}")]
    NotOurs { key: String, why: String },
    #[error("the secret {path} can't be read: {error}")]
    Secret { path: String, error: std::io::Error },
    #[error("the log keeps beginning anew while it is written to")]
    Unstable,
}
