//! Where events are kept: an append-only log, the same for every node of a stream.
//!
//! Memory and Redis keep the same contract, which `tests/broker_contract` holds both to: positions count up
//! by one; whoever reads after a position gets all that the log still has, in order; a log that began anew
//! has a greater epoch, so nothing is ever given the same position twice. Expired events keep their places,
//! so that numbers stay dense: whoever sends them on looks at [`Event::expired`].

pub mod clock;
pub mod health;
pub mod memory;
pub mod pace;
pub mod redis;
pub mod retention;
pub mod revocation;
pub mod trouble;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use ssefleet_crds::{part::Part, validated::Confirm};

use self::{
    pace::{Ask, Turn},
    revocation::{Found, Mark, Revocation},
};
pub use self::{retention::Retention, trouble::Trouble};
use crate::{
    event::{Event, NewEvent, Position},
    limits::counts::Counts,
};

/// An append-only log of events.
pub trait Broker: Send + Sync {
    /// Makes sure that there is a log, and says what it holds.
    fn open(&self) -> BoxFuture<'_, Result<Extent, BrokerError>>;

    /// Adds events, all or none. When it answers, the log has them.
    fn append(&self, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Position>, BrokerError>>;

    /// As `append`, but stores nothing if this was done before, by any node within [`REMEMBERED`].
    fn append_once(&self, once: Once, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Appended, BrokerError>>;

    /// The first events after a position that the log still has, at most `limit`; empty if there are none.
    fn read_after(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, BrokerError>>;

    /// Follows the log from a position on.
    fn tail(&self, after: Position) -> Box<dyn Tail + '_>;

    /// Changes how much is kept, from now on.
    fn retain(&self, retention: Retention);

    /// Changes how many copies there must be of what is acknowledged and shown, from now on. Nothing to a broker that
    /// keeps one.
    fn confirm(&self, _: Confirm) {}

    /// Adds a revocation. When it answers, every node that asks gets it.
    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// The revocations that came after a mark; with the first mark, all.
    fn revocations<'a>(&'a self, after: &'a Mark) -> BoxFuture<'a, Result<Found, BrokerError>>;

    /// Messages of up to `max_bytes` that others send on a channel, for every connection and kept nowhere.
    /// None if this broker has no channels.
    fn broadcasts(&self, channel: &str, max_bytes: usize) -> Option<Box<dyn Broadcasts + '_>>;

    /// When this node may let go of so many connections, so that all nodes of the stream together keep to one rate. As
    /// here, a broker that has only one node lets it go on at once.
    fn turn<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Turn, BrokerError>> {
        let _ = ask;
        Box::pin(async { Ok(Turn { after: Duration::ZERO, nodes: 1 }) })
    }

    /// What counts for all nodes of the stream together. None if there is only one: it counts by itself.
    fn counts(&self) -> Option<Arc<dyn Counts>> {
        None
    }
}

/// A reader that follows the log. After an error it may be asked again, and goes on where it was.
pub trait Tail: Send {
    /// Waits for news.
    fn next(&mut self) -> BoxFuture<'_, Result<Tailed, BrokerError>>;
}

/// A listener on a channel. After an error it may be asked again; what was sent in between is lost.
pub trait Broadcasts: Send {
    /// Waits for the next message.
    fn next(&mut self) -> BoxFuture<'_, Result<String, BrokerError>>;
}

/// News from the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Tailed {
    Events(Vec<Event>),
    /// The log that was followed is gone, and another has begun. The tail goes on after its last event.
    Reset(Extent),
}

/// How long an `append_once` is remembered.
pub const REMEMBERED: Duration = Duration::from_mins(10);

/// What makes an append the same as one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Chosen by the publisher, who uses it again for a retry.
    pub key: String,
    /// Of all that was to be stored; without spaces.
    pub fingerprint: String,
}

/// What came of an `append_once`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    Stored(Vec<Position>),
    /// Stored by an earlier try, at these positions.
    Replayed(Vec<Position>),
    /// The key was used for something else. Nothing was stored.
    Conflict,
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
    /// It was asked, and there is no answer.
    #[error("Redis does not answer: {0}")]
    Away(#[source] ::redis::RedisError),
    /// It could not be asked, or says that it can't do anything yet.
    #[error("Redis can't be reached or is not ready: {0}")]
    Unready(Trouble),
    #[error("Redis refuses: {0}")]
    Refused(Trouble),
    #[error(
        "{have} replicas of Redis have confirmed within broker.redis.confirm.timeout, where confirm.replicas is {wanted}: look whether the replicas are up and in step"
    )]
    Unconfirmed { have: u32, wanted: u32 },
    #[error("Redis has no memory left for more events: raise its memory limit or lower history.maxEvents")]
    Full,
    #[error("there are {} revocations, and no room for more: wait until some are over", revocation::MOST)]
    ManyRevocations,
    #[error("what lies in Redis under {key} is not a log of ours: {why}")]
    NotOurs { key: String, why: String },
    #[error("the secret {path} can't be read: {error}")]
    Secret { path: String, error: std::io::Error },
    #[error("the log keeps beginning anew while it is written to")]
    Unstable,
}

impl BrokerError {
    /// Whether an append that ended so may have stored its events all the same.
    pub fn may_have_stored(&self) -> bool {
        matches!(self, Self::Away(_) | Self::NotOurs { .. } | Self::Unconfirmed { .. })
    }

    /// Whether another connection, perhaps to another server, may do better.
    pub fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Unready(_) | Self::Unconfirmed { .. })
    }

    /// The part of the broker that fails.
    pub fn part(&self) -> Part {
        match self {
            Self::Away(_) => Part::Tcp,
            Self::Unready(trouble) | Self::Refused(trouble) => trouble.part,
            Self::Unconfirmed { .. } => Part::Replication,
            Self::Full => Part::Memory,
            Self::Secret { .. } => Part::Secret,
            Self::ManyRevocations | Self::NotOurs { .. } | Self::Unstable => Part::Other,
        }
    }
}
