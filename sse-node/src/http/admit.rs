//! Whether a request to subscribe is let in, and where it begins.

use std::{sync::Arc, time::Duration};

use hyper::{StatusCode, header::RETRY_AFTER};
use ssefleet_crds::{connections::RefuseWith, validated::Connections};

use super::respond::{self, Response};
use crate::{
    encode::{self, Frame},
    event::Position,
    fanout::{
        audience::{Place, jitter},
        hub::Hub,
        topics::Topics,
    },
    metrics::Metrics,
};

/// What a request to subscribe says, by whatever protocol it came.
pub struct Ask<'a> {
    pub query: &'a str,
    pub last_event_id: Option<&'a str>,
    /// It asks as a browser's EventSource does.
    pub by_event_source: bool,
}

impl<'a> Ask<'a> {
    pub fn new(query: &'a str, field: impl Fn(&str) -> Option<&'a str>) -> Self {
        let accepts = field("accept").is_some_and(|accept| accept.contains("text/event-stream"));
        Self {
            query,
            last_event_id: field("last-event-id"),
            by_event_source: accepts && field("sec-fetch-mode").is_some(),
        }
    }
}

/// One who is let in.
pub struct Admitted {
    pub topics: Topics,
    pub cursor: Position,
    pub greeting: Vec<Frame>,
    pub retry: Duration,
    pub place: Place,
}

/// Why one is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Topics(String),
    Full(usize),
    NotOpen,
    Draining,
}

/// Lets one in, or says why not.
pub fn admit(ask: &Ask<'_>, connections: &Connections, hub: &Arc<Hub>, metrics: &Metrics) -> Result<Admitted, Refusal> {
    let values = |name: &'static str| {
        form_urlencoded::parse(ask.query.as_bytes()).filter(move |(key, _)| key == name).map(|(_, value)| value)
    };
    let topics = Topics::of(values("topic")).map_err(|error| Refusal::Topics(error.to_string()))?;
    let head = hub.head().ok_or(Refusal::NotOpen)?;
    let retry = jitter(connections.retry);
    // The header is what a browser sends on a reconnect, and newer than what stands in its URL.
    let last_event_id =
        ask.last_event_id.map(Into::into).or_else(|| values("lastEventId").next()).filter(|id| !id.is_empty());
    let (cursor, greeting) = match last_event_id.as_deref().map(str::parse) {
        None => (head, vec![encode::greeting(retry, head)]),
        Some(Ok(cursor)) => (cursor, vec![encode::greeting(retry, cursor)]),
        Some(Err(_)) => (head, vec![encode::greeting(retry, head), encode::reset(head.next())]),
    };
    let place =
        Place::take(&metrics.connections, connections.max_per_pod).ok_or(Refusal::Full(connections.max_per_pod))?;
    metrics.opened(last_event_id.is_some());
    if greeting.len() > 1 {
        metrics.resets.inc();
    }
    Ok(Admitted { topics, cursor, greeting, retry, place })
}

impl Refusal {
    fn reason(&self) -> &'static str {
        match self {
            Self::Topics(_) => "topics",
            Self::Full(_) => "full",
            Self::NotOpen => "not_open",
            Self::Draining => "draining",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Topics(why) => why.clone(),
            Self::Full(max) => format!("this node is full: it takes {max} subscribers"),
            Self::NotOpen => "the log is not open yet: the broker has not answered".into(),
            Self::Draining => "this node is about to stop; another one takes you".into(),
        }
    }

    /// The answer. A browser's EventSource does not survive a status, so that it may get a stream that only
    /// says when to come back.
    pub fn answer(&self, ask: &Ask<'_>, connections: &Connections, metrics: &Metrics) -> Response {
        metrics.connections_refused.with_label_values(&[self.reason()]).inc();
        let sentence = self.sentence();
        if let Self::Topics(_) = self {
            return respond::problem(StatusCode::BAD_REQUEST, &sentence);
        }
        let unavailable = respond::unavailable(&sentence);
        match connections.refuse_with {
            RefuseWith::Status => unavailable,
            RefuseWith::Auto if !ask.by_event_source => unavailable,
            RefuseWith::Auto | RefuseWith::Retry => {
                let words = encode::farewell(jitter(connections.retry), &sentence);
                let mut response = respond::stream(words.rest(encode::Framing::Plain, 0));
                if let Some(after) = unavailable.headers().get(RETRY_AFTER) {
                    response.headers_mut().insert(RETRY_AFTER, after.clone());
                }
                response
            }
        }
    }
}
