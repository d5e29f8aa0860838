//! Whether a request to subscribe is let in, and where it begins: who it is, what it may read, whether there is
//! room, and whether it comes too often.

use std::{sync::Arc, time::Duration};

use hyper::{StatusCode, header::RETRY_AFTER};
use ssefleet_crds::{Stream, validated::Connections};
use tokio_util::sync::CancellationToken;

use super::{
    ask::Ask,
    cors::{self, Added},
    respond::{self, Response},
};
use crate::{
    auth::{Auth, Denied},
    config::Current,
    encode::{self, Frame},
    event::Position,
    fanout::{audience::Place, hub::Hub, tie::Tie, topics::Topics},
    jitter::jitter,
    limits::{Limited, Limits},
    metrics::Metrics,
};

/// One who is let in.
pub struct Admitted {
    pub topics: Topics,
    pub cursor: Position,
    pub greeting: Vec<Frame>,
    pub retry: Duration,
    pub place: Place,
    pub tie: Option<Box<Tie>>,
    /// Further header fields of the answer.
    pub fields: Added,
}

/// Why one is not let in.
pub enum Refusal {
    Topics(String),
    Denied(Denied),
    Limited(Limited),
    Full(usize),
    NotOpen,
    Draining,
}

/// Where subscribers come in.
pub struct Door {
    pub current: Arc<Current>,
    pub hub: Arc<Hub>,
    pub auth: Arc<Auth>,
    pub limits: Limits,
    pub metrics: Metrics,
    /// From here on nobody new is let in.
    pub finish: CancellationToken,
}

impl Door {
    /// Lets one in, or gives the answer that says why not.
    pub async fn admit(&self, ask: &Ask<'_>, stream: &Stream) -> Result<Admitted, Response> {
        let cors = cors::fields(stream.cors.as_ref(), ask.fields.first("origin"));
        match self.decide(ask, stream).await {
            Ok(mut admitted) => {
                admitted.fields.extend(cors);
                Ok(admitted)
            }
            Err(refusal) => Err(cors::with(refusal.answer(ask, &stream.connections, &self.metrics), &cors)),
        }
    }

    async fn decide(&self, ask: &Ask<'_>, stream: &Stream) -> Result<Admitted, Refusal> {
        let connections = &stream.connections;
        if self.finish.is_cancelled() {
            return Err(Refusal::Draining);
        }
        let identity = self.auth.subscriber(ask).await.map_err(Refusal::Denied)?;
        let topics = Topics::of(ask.parameters("topic")).map_err(|error| Refusal::Topics(error.to_string()))?;
        let topics = match &identity {
            Some(identity) => {
                topics.within(&identity.grants).map_err(|topic| Refusal::Denied(Denied::topic(&topic)))?
            }
            None => topics,
        };
        let place = Place::take(&self.metrics.connections, connections.max_per_pod)
            .ok_or(Refusal::Full(connections.max_per_pod))?;
        // Last, so that nobody is counted who is not let in for another reason.
        let head = self.hub.head().ok_or(Refusal::NotOpen)?;
        let counted = self.limits.subscriber(ask, identity.as_ref(), stream).await.map_err(Refusal::Limited)?;
        let retry = jitter(connections.retry);
        // The header is what a browser sends on a reconnect, and newer than what stands in its URL.
        let last_event_id = ask.fields.first("last-event-id").map(Into::into);
        let last_event_id = last_event_id.or_else(|| ask.parameters("lastEventId").next()).filter(|id| !id.is_empty());
        let (cursor, greeting) = match last_event_id.as_deref().map(str::parse) {
            None => (head, vec![encode::greeting(retry, head)]),
            Some(Ok(cursor)) => (cursor, vec![encode::greeting(retry, cursor)]),
            Some(Err(_)) => (head, vec![encode::greeting(retry, head), encode::reset(head.next())]),
        };
        self.metrics.opened(last_event_id.is_some());
        if greeting.len() > 1 {
            self.metrics.resets.inc();
        }
        let tie = Tie::new(identity, counted.lease, counted.pass);
        Ok(Admitted { topics, cursor, greeting, retry, place, tie, fields: counted.fields })
    }
}

impl Refusal {
    fn reason(&self) -> &'static str {
        match self {
            Self::Topics(_) => "topics",
            Self::Denied(denied) => denied.reason(),
            Self::Limited(limited) => limited.reason(),
            Self::Full(_) => "full",
            Self::NotOpen => "not_open",
            Self::Draining => "draining",
        }
    }

    fn answer(&self, ask: &Ask<'_>, connections: &Connections, metrics: &Metrics) -> Response {
        metrics.connections_refused.with_label_values(&[self.reason()]).inc();
        let sentence = match self {
            Self::Topics(why) => return respond::problem(StatusCode::BAD_REQUEST, why),
            Self::Denied(denied) => return denied.answer(),
            Self::Limited(limited) => return limited.answer(ask),
            Self::Full(max) => format!("this node is full: it takes {max} subscribers"),
            Self::NotOpen => "the log is not open yet: the broker has not answered".into(),
            Self::Draining => "this node is about to stop; another one takes you".into(),
        };
        let unavailable = respond::unavailable(&sentence);
        if !ask.survives_only_a_stream(connections.refuse_with) {
            return unavailable;
        }
        let mut response = respond::come_back(jitter(connections.retry), &sentence);
        if let Some(after) = unavailable.headers().get(RETRY_AFTER) {
            response.headers_mut().insert(RETRY_AFTER, after.clone());
        }
        response
    }
}
