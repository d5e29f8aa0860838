//! The admin listener: probes, metrics and figures, for the kubelet and for whoever runs the node.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt, Limited};
use hyper::{Method, Request, StatusCode, body::Incoming};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tracing::warn;

use super::{
    accept::wants_json,
    fields::Fields,
    guard::Guard,
    respond::{self, Response},
    revoke,
    room::Handler,
    tap::tap,
};
use crate::{
    auth::Auth,
    config::Current,
    drain::Drain,
    fanout::{
        audience::{Filter, Row},
        hub::Hub,
    },
    metrics::Metrics,
    pace::Pace,
    shed::{self, Shedding},
};

/// The most connections on one page, and how many there are if nothing is said.
const PAGE: (usize, usize) = (1000, 100);

/// Answers whoever runs the node.
pub struct Admin {
    pub current: Arc<Current>,
    pub hub: Arc<Hub>,
    pub auth: Arc<Auth>,
    pub drain: Arc<Drain>,
    pub pace: Arc<Pace>,
    pub shedding: Shedding,
    pub metrics: Metrics,
    pub guard: Guard,
    /// Errors since the start, by this listener's reckoning, for `/stats`.
    pub errors: AtomicU64,
}

impl Handler for Admin {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let path = request.uri().path();
        if let Err(refused) = self.guard.check(&request, peer) {
            return *refused;
        }
        match (request.method(), path) {
            (&Method::POST, "/drain") => self.drain(),
            (&Method::POST, "/revoke") => self.revoke(request).await,
            (&Method::POST, "/shed") => self.shed(request).await,
            (method, "/drain" | "/revoke" | "/shed") => respond::not_allowed(method, "POST, OPTIONS"),
            (&Method::GET, "/tap") => tap(request.uri().query().unwrap_or_default(), &self.hub, &self.metrics).await,
            (method, "/tap") => respond::not_allowed(method, "GET, OPTIONS"),
            (&Method::GET | &Method::HEAD, _) => match path {
                "/healthz" => respond::text("text/plain", "ok\n"),
                "/readyz" => self.ready(),
                "/metrics" if wants_json(Fields::Map(request.headers())) => respond::json(&self.monitor()),
                "/metrics" => match self.metrics.text() {
                    Ok(text) => respond::text("text/plain; version=0.0.4", text),
                    Err(error) => {
                        self.errors.fetch_add(1, Ordering::Relaxed);
                        respond::problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
                    }
                },
                "/stats" => respond::json(&self.stats()),
                "/connections" => self.connections(request.uri().query().unwrap_or_default()).await,
                _ => respond::not_found(
                    "there are /healthz, /readyz, /metrics, /stats, /connections, /tap, POST /drain, POST /revoke and POST /shed",
                ),
            },
            (method, _) => respond::not_allowed(method, "GET, HEAD, OPTIONS"),
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
            let why = self.hub.health().why_not_read();
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            respond::unavailable(&format!("the broker has not answered yet{why}"))
        } else {
            respond::text("text/plain", "ready\n")
        }
    }

    fn drain(&self) -> Response {
        self.drain.ask();
        let mut response = respond::json(&json!({"draining": self.metrics.connections.get()}));
        *response.status_mut() = StatusCode::ACCEPTED;
        response
    }

    async fn shed(&self, request: Request<Incoming>) -> Response {
        if self.drain.has_begun() {
            return respond::unavailable("draining: this node lets go of all it has");
        }
        let Ok(body) = Limited::new(request.into_body(), shed::MAX_BODY).collect().await else {
            return respond::problem(StatusCode::BAD_REQUEST, "the body broke off, or is too large");
        };
        match shed::read(&body.to_bytes(), self.current.get().drain.reconnects_per_second) {
            Ok(wanted) => {
                self.shedding.begin(wanted, self.pace.clone());
                let mut response =
                    respond::json(&json!({"shedding": wanted.connections, "perSecond": wanted.per_second}));
                *response.status_mut() = StatusCode::ACCEPTED;
                response
            }
            Err(why) => respond::problem(StatusCode::BAD_REQUEST, &why),
        }
    }

    async fn revoke(&self, request: Request<Incoming>) -> Response {
        let Ok(body) = Limited::new(request.into_body(), revoke::MAX_BODY).collect().await else {
            return respond::problem(StatusCode::BAD_REQUEST, "the body broke off, or is too large");
        };
        let revocation = match revoke::read(&body.to_bytes()) {
            Ok(revocation) => revocation,
            Err(why) => return respond::problem(StatusCode::BAD_REQUEST, &why),
        };
        match self.auth.revoke(&self.hub, &revocation).await {
            Ok(()) => respond::json(&revoke::told(&revocation)),
            Err(error) => {
                warn!(%error, "a revocation was not stored");
                respond::unavailable("the revocation is not stored, and holds nowhere: try again")
            }
        }
    }

    /// The few figures that `/metrics` tells as JSON.
    fn monitor(&self) -> Value {
        let metrics = &self.metrics;
        json!({
            "totalConnections": metrics.connections_opened.get(),
            "activeConnections": metrics.connections.get(),
            "messagesSent": metrics.events_sent.get(),
            "errors": metrics.broker_errors.get() + self.errors.load(Ordering::Relaxed),
            "reconnections": metrics.connections_resumed.get(),
            "timestamp": format!("{:.3}", jiff::Timestamp::now()),
        })
    }

    fn stats(&self) -> Value {
        let mut stats = self.monitor();
        stats["position"] = json!(self.hub.head().map(|position| position.to_string()));
        stats["nodes"] = self.pace.nodes().into();
        stats["broker"] = self.hub.health().report();
        stats["draining"] = self.drain.has_begun().into();
        stats["cpuSeconds"] = cpu_seconds().into();
        let latency = &self.metrics.publish_latency;
        stats["delivery"] = json!({"events": latency.get_sample_count(), "seconds": latency.get_sample_sum()});
        stats["configuration"] = self.current.report();
        stats
    }

    async fn connections(&self, query: &str) -> Response {
        let mut filter = Filter { limit: PAGE.1, ..Filter::default() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let number = || value.parse().map_err(|_| format!("{name} must be a number, not {value:?}"));
            let understood = match &*name {
                "after" => number().map(|after| filter.after = after),
                "limit" => {
                    number().map(|limit| filter.limit = usize::try_from(limit).unwrap_or(PAGE.0).clamp(1, PAGE.0))
                }
                "topic" => {
                    filter.topic = Some(value.into_owned());
                    Ok(())
                }
                "peer" => {
                    filter.peer = Some(value.into_owned());
                    Ok(())
                }
                "lagging" => {
                    filter.lagging = value != "false";
                    Ok(())
                }
                _ => Err(format!("{name:?} is not known; there are after, limit, topic, peer and lagging")),
            };
            if let Err(error) = understood {
                return respond::problem(StatusCode::BAD_REQUEST, &error);
            }
        }
        let rows = self.hub.list(&filter).await;
        let next = (rows.len() == filter.limit).then(|| rows.last().map(|row| row.id)).flatten();
        let rows: Vec<_> = rows.iter().map(|row| self.row(row)).collect();
        respond::json(&json!({"connections": rows, "total": self.metrics.connections.get(), "next": next}))
    }

    fn row(&self, row: &Row) -> Value {
        let clock = self.hub.clock();
        json!({
            "id": row.id,
            "peer": row.peer,
            "subject": row.subject.as_deref(),
            "created": clock.timestamp(row.created).to_string(),
            "lastWrite": clock.timestamp(row.written).to_string(),
            "events": row.events,
            "bytes": row.bytes,
            "lagEvents": row.lag_events,
            "lagSeconds": f64::from(row.lag) / 10.0,
            "blocked": row.blocked,
        })
    }
}

/// What this process has used since its start.
fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(used).unwrap_or_default().as_secs_f64()
}
