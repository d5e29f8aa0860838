//! What publishers are told: ids, or a problem that says what to do.

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    StatusCode,
    body::Frame,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde_json::{Map, Value, json};
use tracing::warn;

use crate::{
    auth::Denied,
    broker::BrokerError,
    event::Position,
    http::{
        cors::{self, Added},
        respond::{self, Response},
    },
    limits::Overspent,
    metrics::Metrics,
    publication::{BadKey, Refused},
};

/// The events are stored, at these positions.
pub fn stored(positions: &[Position]) -> Response {
    let ids: Vec<_> = positions.iter().map(ToString::to_string).collect();
    respond::json(&json!({"ids": ids}))
}

/// The events were stored by an earlier try.
pub fn replayed(positions: &[Position]) -> Response {
    let mut response = stored(positions);
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

/// Positions in the order of the events; those in a row take the room of one, so that any number fits.
#[derive(Default)]
pub struct Ids {
    rows: Vec<(Position, u64)>,
    pub count: u64,
}

impl Ids {
    pub fn extend(&mut self, positions: &[Position]) {
        for position in positions {
            match self.rows.last_mut() {
                Some((first, n)) if *position == (Position { seq: first.seq + *n, ..*first }) => *n += 1,
                _ => self.rows.push((*position, 1)),
            }
        }
        self.count += positions.len() as u64;
    }

    /// The same answer as `stored`, written as it is sent.
    pub fn answer(self) -> Response {
        /// Ids in a piece of the body.
        const PIECE: usize = 1000;
        let mut ids = self
            .rows
            .into_iter()
            .flat_map(|(first, n)| (first.seq..first.seq + n).map(move |seq| Position { seq, ..first }));
        let mut first = true;
        let mut ended = false;
        let pieces = std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let mut piece = String::from(if first { "{\"ids\":[" } else { "" });
            let mut n = 0;
            for id in ids.by_ref().take(PIECE) {
                piece.push_str(if first { "\"" } else { ",\"" });
                piece.push_str(&id.to_string());
                piece.push('"');
                first = false;
                n += 1;
            }
            if n < PIECE {
                ended = true;
                piece.push_str("]}\n");
            }
            Some(Ok(Frame::data(Bytes::from(piece))))
        });
        let mut response = Response::new(StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Why a publication was refused, and what to do about it.
pub struct Refusal {
    /// For the metric.
    reason: &'static str,
    status: StatusCode,
    error: String,
    /// Further members of the problem.
    more: Map<String, Value>,
    /// Further header fields of the answer.
    fields: Added,
}

impl Refusal {
    fn new(reason: &'static str, status: StatusCode, error: impl Into<String>) -> Self {
        Self { reason, status, error: error.into(), more: Map::new(), fields: Added::new() }
    }

    pub fn body_too_large(limit: usize) -> Self {
        let error = format!(
            "the body has more than {limit} bytes: send fewer events at once, or NDJSON without Idempotency-Key, which may be of any length"
        );
        Self::new("too_large", StatusCode::PAYLOAD_TOO_LARGE, error)
    }

    pub fn line_too_long(limit: usize) -> Self {
        let error = format!("a line has more than {limit} bytes: each event stands on a line of its own");
        Self::new("too_large", StatusCode::PAYLOAD_TOO_LARGE, error)
    }

    pub fn broken_off(error: &impl ToString) -> Self {
        Self::new("broken_off", StatusCode::BAD_REQUEST, format!("the body broke off: {}", error.to_string()))
    }

    pub fn too_slow(seconds: u64) -> Self {
        let error = format!("the body comes too slowly, or no more: it was waited for {seconds} s");
        Self::new("slow", StatusCode::REQUEST_TIMEOUT, error)
    }

    pub fn line_too_slow(seconds: u64) -> Self {
        let error = format!("no line ended for {seconds} s: a blank one now and then keeps the body open");
        Self::new("slow", StatusCode::REQUEST_TIMEOUT, error)
    }

    pub fn no_memory() -> Self {
        let error = "too many large bodies are being sent to this node right now: nothing was stored; try again";
        Self::new("crowded", StatusCode::SERVICE_UNAVAILABLE, error)
    }

    pub fn draining() -> Self {
        let error = "this node is about to stop, and did not wait for the rest of the body: send what was not stored again, to another";
        Self::new("draining", StatusCode::SERVICE_UNAVAILABLE, error)
    }

    pub fn conflict() -> Self {
        let error = "this Idempotency-Key (or the source and id of this CloudEvent) was used for other events within the last 10 minutes: nothing was stored; use a new one for new events, and send a retry unchanged";
        Self::new("conflict", StatusCode::UNPROCESSABLE_ENTITY, error)
    }

    pub fn broker(error: &BrokerError) -> Self {
        warn!(%error, "events were not published");
        Self::new("broker", StatusCode::SERVICE_UNAVAILABLE, told(error))
    }

    pub fn overspent(overspent: Overspent) -> Self {
        match overspent {
            Overspent::TooFast { message, fields } => {
                Self { fields, ..Self::new("rate_limited", StatusCode::TOO_MANY_REQUESTS, message) }
            }
            Overspent::TooMany(error) => Self::new("too_large", StatusCode::PAYLOAD_TOO_LARGE, error),
            Overspent::Away(error) => Self::new("limiter_away", StatusCode::SERVICE_UNAVAILABLE, error),
        }
    }

    /// Of NDJSON: the line that is wrong, or the first that is not known to be stored, and how many events are.
    pub fn at_line(mut self, line: usize, stored: u64) -> Self {
        self.more.insert("line".into(), line.into());
        self.more.insert("stored".into(), stored.into());
        self
    }

    pub fn answer(self, metrics: &Metrics) -> Response {
        metrics.publish_refused.with_label_values(&[self.reason]).inc();
        let title = self.status.canonical_reason().unwrap_or_default();
        let mut body =
            json!({"type": "about:blank", "title": title, "status": self.status.as_u16(), "error": self.error});
        if let Value::Object(members) = &mut body {
            members.extend(self.more);
        }
        let mut response = respond::text("application/problem+json", format!("{body}\n"));
        *response.status_mut() = self.status;
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            // A little different for each, so that those who are refused together do not come back together.
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(fastrand::u16(1..=5)));
        }
        cors::with(response, &self.fields)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooLarge { .. } | Refused::TooMany => {
                Self::new("too_large", StatusCode::PAYLOAD_TOO_LARGE, refused.to_string())
            }
            _ => Self::new("bad_event", StatusCode::BAD_REQUEST, refused.to_string()),
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        // What one who is not let in has to show, RFC 6750 3: of visible characters alone.
        let challenge = denied.challenge().to_str().unwrap_or("Bearer").to_owned();
        let fields = vec![("www-authenticate", challenge)];
        Self { fields, ..Self::new(denied.reason(), denied.status(), denied.sentence()) }
    }
}

impl From<BadKey> for Refusal {
    fn from(bad: BadKey) -> Self {
        Self::new("bad_key", StatusCode::BAD_REQUEST, bad.to_string())
    }
}

/// What a publisher is told; the node's own log has the rest.
fn told(error: &BrokerError) -> &'static str {
    match error {
        BrokerError::Full => {
            "the log has no room left: none of these was stored; try again once its operator has made some"
        }
        BrokerError::Unconfirmed { .. } => {
            "too few replicas of the log have confirmed these events in time (broker.redis.confirm): they may or may not be kept; try again until you get their ids, with an Idempotency-Key if none may be stored twice"
        }
        _ if error.may_have_stored() => {
            "the log does not answer: these events may or may not have been stored; try again until you get their ids, with an Idempotency-Key if none may be stored twice"
        }
        _ => "the log can't take events now: none of these was stored; try again",
    }
}
