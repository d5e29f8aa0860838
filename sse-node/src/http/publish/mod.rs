//! The publish listener: `POST /publish` answers the ids once the log has the events.
//!
//! A body is collected and stored at once, all or none; but NDJSON without a key is stored as it comes, by
//! [`stream`].

mod answer;
pub mod intake;
pub mod lines;
mod stream;

use std::{net::SocketAddr, sync::Arc};

use hyper::{HeaderMap, Method, Request, body::Incoming};
use ssefleet_crds::Stream;

use self::{answer::Refusal, intake::Intake};
use super::{
    cors::{self, Added},
    fields::Fields,
    respond::{self, Response},
    room::Handler,
};
use crate::{
    auth::{Auth, Identity},
    broker::{Appended, BrokerError},
    config::Current,
    event::Position,
    fanout::hub::Hub,
    limits::{Budget, Limits, Overspent, key::Asker},
    metrics::Metrics,
    publication::{Head, Key, Publication},
};

/// The largest body, whatever the size of its events.
const MAX_BODY: usize = 8 << 20;

/// Answers publishers.
pub struct Publish {
    pub current: Arc<Current>,
    pub hub: Arc<Hub>,
    pub auth: Arc<Auth>,
    pub limits: Limits,
    pub metrics: Metrics,
    pub intake: Intake,
}

impl Handler for Publish {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Response {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/publish") => {
                let (head, body) = request.into_parts();
                let published = self.publish(&head.headers, head.uri.query(), body, peer).await;
                published.unwrap_or_else(|refusal| refusal.answer(&self.metrics))
            }
            (method, "/publish") => respond::not_allowed(method, "POST, OPTIONS"),
            _ => respond::not_found("nothing is served here; publish with POST /publish"),
        }
    }
}

impl Publish {
    async fn publish(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        body: Incoming,
        peer: SocketAddr,
    ) -> Result<Response, Refusal> {
        let publisher = self.auth.publisher(headers, query.unwrap_or_default()).await?;
        let stream = self.current.get();
        let key = Key::read(headers)?;
        let head = Head::read(headers, query, stream.history.max_event_bytes)?;
        let budget = self.budget(headers, peer, publisher.identity(), &stream);
        if head.is_lines() && key.is_none() {
            let ids = stream::store(self, &publisher, budget.as_ref(), &head, body).await?;
            return Ok(ids.answer());
        }
        let limit = MAX_BODY.max(head.longest());
        let body = self.intake.collect(body, limit).await?;
        let publication = head.events(&body.bytes)?;
        drop(body);
        publication.events.iter().try_for_each(|event| publisher.may(&event.topic))?;
        let fields = match &budget {
            Some(budget) => budget.spend(publication.events.len()).await?,
            None => Added::new(),
        };
        let (positions, replayed) = self.store(key, publication).await?;
        let response = if replayed { answer::replayed(&positions) } else { answer::stored(&positions) };
        Ok(cors::with(response, &fields))
    }

    /// How much one may publish, if that is limited.
    fn budget(
        &self,
        headers: &HeaderMap,
        peer: SocketAddr,
        identity: Option<&Identity>,
        stream: &Stream,
    ) -> Option<Budget> {
        let subject = identity.and_then(|identity| identity.subject.as_deref());
        let fields = |name: &str| Fields::Map(headers).bytes(name);
        self.limits.budget(&Asker { peer: peer.ip(), subject, fields: &fields }, &stream.rate_limits)
    }

    /// The events' places, and whether they had them already.
    async fn store(&self, key: Option<Key>, publication: Publication) -> Result<(Vec<Position>, bool), Refusal> {
        let Publication { events, key: own } = publication;
        let Some(key) = key.or(own) else {
            let positions = self.hub.append(events).await?;
            return Ok((self.count(positions), false));
        };
        let once = key.of(&events);
        match self.hub.append_once(once, events).await? {
            Appended::Stored(positions) => Ok((self.count(positions), false)),
            Appended::Replayed(positions) => {
                self.metrics.publish_replayed.inc();
                Ok((positions, true))
            }
            Appended::Conflict => Err(Refusal::conflict()),
        }
    }

    fn count(&self, positions: Vec<Position>) -> Vec<Position> {
        self.metrics.events_published.inc_by(positions.len() as u64);
        positions
    }
}

impl From<Overspent> for Refusal {
    fn from(overspent: Overspent) -> Self {
        Self::overspent(overspent)
    }
}

impl From<BrokerError> for Refusal {
    fn from(error: BrokerError) -> Self {
        Self::broker(&error)
    }
}
