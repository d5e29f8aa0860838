//! The publish listener: `POST /publish` answers the ids once the log has the events.

use std::{net::SocketAddr, sync::Arc};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Method, Request, StatusCode, body::Incoming};
use serde_json::json;
use tracing::warn;

use super::{
    listen::Handler,
    respond::{self, Response, header},
};
use crate::{
    broker::BrokerError,
    config::Current,
    fanout::hub::Hub,
    metrics::Metrics,
    publication::{self, Refused},
};

/// The largest body, whatever the size of its events.
const MAX_BODY: usize = 8 << 20;

/// Answers publishers.
pub struct Publish {
    pub current: Arc<Current>,
    pub hub: Arc<Hub>,
    pub metrics: Metrics,
}

impl Handler for Publish {
    async fn handle(&self, request: Request<Incoming>, _: SocketAddr) -> Response {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/publish") => self.publish(request).await,
            (method, "/publish") => respond::not_allowed(method, "POST, OPTIONS"),
            _ => respond::not_found("nothing is served here; publish with POST /publish"),
        }
    }
}

impl Publish {
    async fn publish(&self, request: Request<Incoming>) -> Response {
        let (head, body) = request.into_parts();
        let max_event_bytes = self.current.get().history.max_event_bytes;
        // JSON may spell a byte of data in six.
        let limit = MAX_BODY.max(6 * max_event_bytes + 4096);
        let body = match Limited::new(body, limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return self.refuse(
                    "too_large",
                    StatusCode::PAYLOAD_TOO_LARGE,
                    &format!("the body has more than {limit} bytes: send fewer events at once"),
                );
            }
            Err(error) => {
                return self.refuse("broken_off", StatusCode::BAD_REQUEST, &format!("the body broke off: {error}"));
            }
        };
        let read = publication::read(header(&head.headers, "content-type"), head.uri.query(), &body, max_event_bytes);
        let events = match read {
            Ok(events) => events,
            Err(error @ Refused::TooLarge { .. }) => {
                return self.refuse("too_large", StatusCode::PAYLOAD_TOO_LARGE, &error.to_string());
            }
            Err(error) => return self.refuse("bad_event", StatusCode::BAD_REQUEST, &error.to_string()),
        };
        match self.hub.broker().append(events).await {
            Ok(positions) => {
                self.metrics.events_published.inc_by(positions.len() as u64);
                let ids: Vec<_> = positions.iter().map(ToString::to_string).collect();
                respond::json(&json!({"ids": ids}))
            }
            Err(error) => {
                warn!(%error, "events were not published");
                self.metrics.publish_refused.with_label_values(&["broker"]).inc();
                respond::unavailable(told(&error))
            }
        }
    }

    fn refuse(&self, reason: &str, status: StatusCode, error: &str) -> Response {
        self.metrics.publish_refused.with_label_values(&[reason]).inc();
        respond::problem(status, error)
    }
}

/// What a publisher is told; the log has the rest.
fn told(error: &BrokerError) -> &'static str {
    match error {
        BrokerError::Full => "the log has no room left; try again once its operator has made some",
        BrokerError::Away(_) => {
            "the log does not answer: the events may or may not have been stored; try again until you get their ids"
        }
        _ => "the log can't take events now; none was stored; try again",
    }
}
