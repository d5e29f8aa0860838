//! What a node counts, for Prometheus and for `/stats`. docs/metrics.md lists all of it.

use std::{ops::Deref, sync::Arc};

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// Shared by all parts of a node.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

/// The metrics, by the names that they have in code.
pub struct Inner {
    registry: Registry,
    pub connections: IntGauge,
    pub connections_opened: IntCounter,
    pub connections_resumed: IntCounter,
    pub connections_closed: IntCounterVec,
    pub connections_refused: IntCounterVec,
    pub events_published: IntCounter,
    pub publish_refused: IntCounterVec,
    pub publish_replayed: IntCounter,
    pub events_received: IntCounter,
    pub events_sent: IntCounter,
    pub bytes_sent: IntCounter,
    pub replays: IntCounter,
    pub gaps: IntCounter,
    pub resets: IntCounter,
    pub ring_events: IntGauge,
    pub ring_bytes: IntGauge,
    pub broker_up: IntGauge,
    pub broker_errors: IntCounter,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    ByClient,
    Drained,
}

impl Closed {
    fn label(self) -> &'static str {
        match self {
            Self::ByClient => "client",
            Self::Drained => "drained",
        }
    }
}

impl Deref for Metrics {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("ssefleet_node".into()), None)?;
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let by_reason = |name: &str, help: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &["reason"])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        Ok(Self(Arc::new(Inner {
            connections: gauge("connections", "Subscribers that are connected")?,
            connections_opened: counter("connections_opened_total", "Streams begun")?,
            connections_resumed: counter("connections_resumed_total", "Streams begun with a last event id")?,
            connections_closed: by_reason("connections_closed_total", "Streams ended, by reason")?,
            connections_refused: by_reason("connections_refused_total", "Subscriptions refused, by reason")?,
            events_published: counter("events_published_total", "Events taken into the log by way of this node")?,
            publish_refused: by_reason("publish_refused_total", "Publications refused, by reason")?,
            publish_replayed: counter("publish_replayed_total", "Publications that the log had already, by their key")?,
            events_received: counter("events_received_total", "Events that came from the log")?,
            events_sent: counter("events_sent_total", "Events sent, counted once for each subscriber")?,
            bytes_sent: counter("bytes_sent_total", "Bytes of streams, without HTTP's own")?,
            replays: counter("replays_total", "Pages of older events read from the broker for subscribers")?,
            gaps: counter("gaps_total", "Subscribers told that events are gone (event: gap)")?,
            resets: counter("resets_total", "Subscribers and nodes told that the log began anew (event: reset)")?,
            ring_events: gauge("ring_events", "Events held in memory")?,
            ring_bytes: gauge("ring_bytes", "Bytes of the frames held in memory")?,
            broker_up: gauge("broker_up", "1 while the broker answers")?,
            broker_errors: counter("broker_errors_total", "Times that the broker did not answer as it should")?,
            registry,
        })))
    }

    pub fn opened(&self, resumed: bool) {
        self.connections.inc();
        self.connections_opened.inc();
        if resumed {
            self.connections_resumed.inc();
        }
    }

    pub fn closed(&self, how: Closed) {
        self.connections.dec();
        self.connections_closed.with_label_values(&[how.label()]).inc();
    }

    /// The Prometheus text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
