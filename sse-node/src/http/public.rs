//! The public listener: `GET path` subscribes, `GET /health` says that the process lives.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    Method, Request,
    body::{Frame, Incoming},
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use ssefleet_crds::validated::Connections;

use super::{
    listen::Handler,
    respond::{self, Body, Response},
};
use crate::{
    drain::Drain,
    event::Position,
    fanout::{
        hub::Hub,
        subscription::{Start, Subscription},
        topics::Topics,
    },
    metrics::Metrics,
};

/// Answers subscribers.
pub struct Public {
    pub path: String,
    pub connections: Connections,
    pub hub: Arc<Hub>,
    pub drain: Arc<Drain>,
    pub metrics: Metrics,
    /// What this node is called, sent as `X-Sse-Node`.
    pub node: Option<HeaderValue>,
}

impl Handler for Public {
    async fn handle(&self, request: Request<Incoming>) -> Response {
        match request.uri().path() {
            path if path == self.path => match *request.method() {
                Method::GET => self.subscribe(&request),
                Method::HEAD => self.stream_head(respond::text("text/event-stream", Bytes::new())),
                ref other => respond::not_allowed(other, "GET, HEAD, OPTIONS"),
            },
            "/health" => match *request.method() {
                Method::GET | Method::HEAD => respond::text("text/plain", "ok\n"),
                ref other => respond::not_allowed(other, "GET, HEAD, OPTIONS"),
            },
            _ => respond::not_found(&format!("nothing is served here; the stream is at {}", self.path)),
        }
    }
}

impl Public {
    fn subscribe(&self, request: &Request<Incoming>) -> Response {
        let refuse = |reason, response| {
            self.metrics.connections_refused.with_label_values(&[reason]).inc();
            response
        };
        let query = request.uri().query().unwrap_or_default();
        let values = |name: &'static str| {
            form_urlencoded::parse(query.as_bytes()).filter(move |(key, _)| key == name).map(|(_, value)| value)
        };
        let topics = match Topics::of(values("topic")) {
            Ok(topics) => topics,
            Err(error) => {
                return refuse("topics", respond::problem(hyper::StatusCode::BAD_REQUEST, &error.to_string()));
            }
        };
        // The header is what a browser sends on a reconnect, and newer than what stands in its URL.
        let last_event_id = respond::header(request.headers(), "last-event-id")
            .map(Into::into)
            .or_else(|| values("lastEventId").next())
            .filter(|id| !id.is_empty());
        let start = match last_event_id {
            None => Start::Now,
            Some(id) => id.parse::<Position>().map_or(Start::Unknown, Start::After),
        };
        if usize::try_from(self.metrics.connections.get()).unwrap_or_default() >= self.connections.max_per_pod {
            let error = format!("this node is full: it takes {} subscribers", self.connections.max_per_pod);
            return refuse("full", respond::unavailable(&error));
        }
        let subscription = Subscription::begin(
            self.hub.clone(),
            self.drain.clone(),
            self.metrics.clone(),
            topics,
            start,
            &self.connections,
        );
        match subscription {
            Some(subscription) => self.stream_head(Response::new(body(subscription))),
            None => refuse("not_open", respond::unavailable("the log is not open yet: the broker has not answered")),
        }
    }

    fn stream_head(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
        // nginx and those that follow it buffer answers unless told not to.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        if let Some(node) = &self.node {
            headers.insert("x-sse-node", node.clone());
        }
        response
    }
}

fn body(subscription: Subscription) -> Body {
    let frames = stream::unfold(subscription, |mut subscription| async {
        let bytes = subscription.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes)), subscription))
    });
    StreamBody::new(frames).boxed_unsync()
}
