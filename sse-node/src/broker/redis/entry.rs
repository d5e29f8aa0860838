//! An event as an entry of a Redis stream: `t` topic, `d` data, `at` when it was published, `e` the event's
//! name if it has one, `x` when it expires if it does. Times are milliseconds since 1970.

use std::time::Duration;

use redis::streams::StreamId;

use crate::{
    broker::BrokerError,
    event::{Event, NewEvent, Position},
};

/// The fields and values of a new entry.
pub fn words(new: &NewEvent, at: u64) -> Vec<Word<'_>> {
    let mut words = Vec::with_capacity(10);
    let mut field = |name, value| words.extend([Word::Text(name), value]);
    field("t", Word::Text(&new.topic));
    field("d", Word::Text(&new.data));
    field("at", Word::Number(at));
    if let Some(event) = &new.event {
        field("e", Word::Text(event));
    }
    if let Some(ttl) = new.ttl {
        field("x", Word::Number(at.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))));
    }
    words
}

/// An argument of a command.
pub enum Word<'a> {
    Text(&'a str),
    Number(u64),
}

impl redis::ToRedisArgs for Word<'_> {
    fn write_redis_args<W: ?Sized + redis::RedisWrite>(&self, out: &mut W) {
        match self {
            Self::Text(text) => text.write_redis_args(out),
            Self::Number(number) => number.write_redis_args(out),
        }
    }
}

impl redis::ToSingleRedisArg for Word<'_> {}

/// The event of an entry of the stream under a key.
pub fn event(key: &str, entry: &StreamId) -> Result<Event, BrokerError> {
    let (Some(topic), Some(data)) = (entry.get("t"), entry.get("d")) else {
        return Err(not_ours(key, format!("the entry {} has no topic or no data", entry.id)));
    };
    let at = entry.get("at").unwrap_or(0);
    let ttl = entry.get("x").map(|expires: u64| Duration::from_millis(expires.saturating_sub(at)));
    Ok(Event { position: position(key, &entry.id)?, at, new: NewEvent { topic, event: entry.get("e"), data, ttl } })
}

/// The position that an entry's id says.
pub fn position(key: &str, id: &str) -> Result<Position, BrokerError> {
    let parsed = id.split_once('-').and_then(|(epoch, seq)| Some((epoch.parse().ok()?, seq.parse().ok()?)));
    let (epoch, seq) = parsed.ok_or_else(|| not_ours(key, format!("an entry has the id {id}")))?;
    Ok(Position::new(epoch, seq))
}

/// The id of the entry at a position.
pub fn id(position: Position) -> String {
    format!("{}-{}", position.epoch, position.seq)
}

pub fn not_ours(key: &str, why: String) -> BrokerError {
    BrokerError::NotOurs { key: key.into(), why }
}
