//! What `/connections` tells of a shard's subscribers.

use std::{net::SocketAddr, sync::Arc};

use super::{Audience, Sink, State};
use crate::fanout::{clock::Tick, index::Key};

/// Which subscribers are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those with a greater id, so many of them, the smallest first.
    pub after: u64,
    pub limit: usize,
    /// Those who want this topic.
    pub topic: Option<String>,
    /// Those whose address begins so.
    pub peer: Option<String>,
    /// Those who lack something.
    pub lagging: bool,
}

/// One subscriber, as it is told.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: u64,
    pub peer: Option<SocketAddr>,
    /// Of its token.
    pub subject: Option<Arc<str>>,
    pub created: Tick,
    /// The last time that the socket took something.
    pub written: Tick,
    pub events: u32,
    pub bytes: u64,
    /// Events of all topics that lie between what it has and the newest.
    pub lag_events: u64,
    /// In tenths of a second.
    pub lag: u32,
    /// The socket is full.
    pub blocked: bool,
}

impl<S: Sink> Audience<S> {
    pub fn list(&self, filter: &Filter, now: Tick) -> Vec<Row> {
        let mut rows: Vec<(u64, Key)> =
            self.subscribers
                .iter()
                .filter(|(_, subscriber)| {
                    subscriber.id > filter.after
                        && !(filter.lagging && subscriber.is_live())
                        && filter.topic.as_ref().is_none_or(|topic| subscriber.topics.want(topic))
                        && filter.peer.as_ref().is_none_or(|prefix| {
                            subscriber.peer.is_some_and(|peer| peer.to_string().starts_with(prefix))
                        })
                })
                .map(|(slot, subscriber)| {
                    let slot = u32::try_from(slot).unwrap_or(u32::MAX);
                    (subscriber.id, Key { slot, generation: subscriber.generation })
                })
                .collect();
        if rows.len() > filter.limit {
            rows.select_nth_unstable_by_key(filter.limit, |(id, _)| *id);
            rows.truncate(filter.limit);
        }
        rows.sort_unstable_by_key(|(id, _)| *id);
        rows.into_iter().filter_map(|(_, key)| self.row(key, now)).collect()
    }

    fn row(&self, key: Key, now: Tick) -> Option<Row> {
        let subscriber = self.get(key)?;
        let head = self.ring.read().head();
        let (lag_events, blocked) = match &subscriber.state {
            State::Live => (0, false),
            State::Behind(behind) if behind.cursor.epoch == head.epoch => {
                (head.seq.saturating_sub(behind.cursor.seq), behind.blocked)
            }
            State::Behind(behind) => (head.seq, behind.blocked),
        };
        Some(Row {
            id: subscriber.id,
            peer: subscriber.peer,
            subject: subscriber.tie.as_ref().and_then(|tie| tie.identity.as_ref()?.subject.clone()),
            created: subscriber.created,
            written: subscriber.written,
            events: subscriber.events,
            bytes: subscriber.bytes,
            lag_events,
            lag: self.lag(key, now),
            blocked,
        })
    }
}
