//! The admin listener: probes, metrics and figures, for the kubelet and for whoever runs the node.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use hyper::{Method, Request, StatusCode, body::Incoming};
use serde_json::{Value, json};

use super::{
    listen::Handler,
    respond::{self, Response},
};
use crate::{drain::Drain, fanout::hub::Hub, metrics::Metrics};

/// Answers whoever runs the node.
pub struct Admin {
    pub hub: Arc<Hub>,
    pub drain: Arc<Drain>,
    pub metrics: Metrics,
    /// Errors since the start, by this listener's reckoning, for `/stats`.
    pub errors: AtomicU64,
}

impl Handler for Admin {
    async fn handle(&self, request: Request<Incoming>) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return respond::not_allowed(request.method(), "GET, HEAD, OPTIONS");
        }
        match request.uri().path() {
            "/healthz" => respond::text("text/plain", "ok\n"),
            "/readyz" => self.ready(),
            "/metrics" => match self.metrics.text() {
                Ok(text) => respond::text("text/plain; version=0.0.4", text),
                Err(error) => {
                    self.errors.fetch_add(1, Ordering::Relaxed);
                    respond::problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
                }
            },
            "/stats" => respond::json(&self.stats()),
            _ => respond::not_found("there are /healthz, /readyz, /metrics and /stats"),
        }
    }
}

impl Admin {
    /// Ready from the first answer of the broker until the drain. A broker that goes away later does not make
    /// the node unready: all nodes would be at once, and browsers do not survive a proxy's 503.
    fn ready(&self) -> Response {
        if self.drain.has_begun() {
            respond::unavailable("draining: this node is about to stop")
        } else if !self.hub.is_open() {
            respond::unavailable("the broker has not answered yet")
        } else {
            respond::text("text/plain", "ready\n")
        }
    }

    fn stats(&self) -> Value {
        let metrics = &self.metrics;
        json!({
            "totalConnections": metrics.connections_opened.get(),
            "activeConnections": metrics.connections.get(),
            "messagesSent": metrics.events_sent.get(),
            "errors": metrics.broker_errors.get() + self.errors.load(Ordering::Relaxed),
            "reconnections": metrics.connections_resumed.get(),
            "position": self.hub.head().borrow().map(|position| position.to_string()),
            "timestamp": jiff::Timestamp::now().to_string(),
        })
    }
}
