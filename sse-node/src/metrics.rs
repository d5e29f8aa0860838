//! What a node counts, for Prometheus and for `/stats`. docs/metrics.md lists all of it.

use std::{ops::Deref, sync::Arc};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use ssefleet_crds::{compression::CompressionMode, connections::SlowConsumer};

use crate::encode::Compressor;

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
    pub http_refused: IntCounterVec,
    pub auth_keys_useless: IntGauge,
    pub jwks_fetches: IntCounterVec,
    pub jwks_stale: IntGauge,
    pub revocations: IntGauge,
    pub limit_decisions: IntCounterVec,
    pub limit_passes_given: IntCounter,
    pub limit_passes_used: IntCounter,
    pub events_published: IntCounter,
    pub publish_refused: IntCounterVec,
    pub publish_replayed: IntCounter,
    pub events_received: IntCounter,
    pub events_sent: IntCounter,
    pub events_skipped: IntCounterVec,
    pub broadcasts: IntCounter,
    pub broadcasts_missed: IntCounter,
    pub bytes_sent: IntCounter,
    compression_bytes_in: IntCounterVec,
    compression_bytes_out: IntCounterVec,
    pub publish_latency: Histogram,
    pub lag: Histogram,
    pub replay_hits: IntCounterVec,
    pub replay_misses: IntCounter,
    pub replays: IntCounter,
    pub gaps: IntCounter,
    pub resets: IntCounter,
    pub ring_events: IntGauge,
    pub ring_bytes: IntGauge,
    pub broker_up: IntGauge,
    pub broker_errors: IntCounter,
    pub taps: IntGauge,
    pub probes: IntCounterVec,
}

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    ByClient,
    /// The connection broke, or its peer did not answer any more.
    Dead,
    Drained,
    /// The drain timeout was over.
    Cut,
    /// This node has more than its share.
    Shed,
    MaxAge,
    Stale,
    Lagging,
    TokenExpired,
    Revoked,
    /// The key that its token was signed with is no longer there.
    KeyRemoved,
}

impl Closed {
    fn label(self) -> &'static str {
        match self {
            Self::ByClient => "client",
            Self::Dead => "dead",
            Self::Drained => "drained",
            Self::Cut => "cut",
            Self::Shed => "shed",
            Self::MaxAge => "max_age",
            Self::Stale => "stale",
            Self::Lagging => "lagging",
            Self::TokenExpired => "token_expired",
            Self::Revoked => "revoked",
            Self::KeyRemoved => "key_removed",
        }
    }

    /// The last words of the stream.
    pub fn to_the_client(self) -> &'static str {
        match self {
            Self::ByClient | Self::Dead => "goodbye",
            Self::Drained | Self::Cut => "this node is about to stop; reconnect to another",
            Self::Shed => "this node has more than its share; reconnect to another",
            Self::MaxAge => "this connection is old enough; reconnect",
            Self::Stale => "this connection has taken nothing for too long",
            Self::Lagging => "this connection lags too far; reconnect and go on from your last event id",
            Self::TokenExpired => "the token has expired; come back with a new one",
            Self::Revoked => "the token has been revoked",
            Self::KeyRemoved => "what let you in is no longer good; come back with a new token",
        }
    }
}

/// Where older events lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    Ring,
    /// A page that was read for someone else.
    Page,
}

impl Memory {
    fn label(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Page => "page",
        }
    }
}

/// The buckets of times: the log's own clock has milliseconds, and a lag of more than a minute is one.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

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
        let by = |label: &str, name: &str, help: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let histogram = |name: &str, help: &str| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let metrics = Self(Arc::new(Inner {
            connections: gauge("connections", "Subscribers that are connected")?,
            connections_opened: counter("connections_opened_total", "Streams begun")?,
            connections_resumed: counter("connections_resumed_total", "Streams begun with a last event id")?,
            connections_closed: by("reason", "connections_closed_total", "Streams ended, by reason")?,
            connections_refused: by("reason", "connections_refused_total", "Subscriptions refused, by reason")?,
            http_refused: by(
                "reason",
                "http_refused_total",
                "Connections ended and requests refused unheard, by reason",
            )?,
            auth_keys_useless: gauge("auth_keys_useless", "Keys of spec.auth that can't be used: see the log")?,
            jwks_fetches: by("outcome", "jwks_fetches_total", "Fetches of JSON Web Key Sets, by outcome")?,
            jwks_stale: gauge("jwks_stale", "Key sets whose last fetch failed: the keys known hold for a day")?,
            revocations: gauge("revocations", "Revocations that hold")?,
            limit_decisions: by("by", "limit_decisions_total", "Questions of rate limits, by who counted")?,
            limit_passes_given: counter(
                "limit_passes_given_total",
                "Streams ended whose client may come back uncounted",
            )?,
            limit_passes_used: counter("limit_passes_used_total", "Clients that came back uncounted")?,
            events_published: counter("events_published_total", "Events taken into the log by way of this node")?,
            publish_refused: by("reason", "publish_refused_total", "Publications refused, by reason")?,
            publish_replayed: counter("publish_replayed_total", "Publications that the log had already, by their key")?,
            events_received: counter("events_received_total", "Events that came from the log")?,
            events_sent: counter("events_sent_total", "Events sent, counted once for each subscriber")?,
            events_skipped: by("policy", "events_skipped_total", "Events not sent to subscribers that lag, by policy")?,
            broadcasts: counter("broadcasts_total", "Messages that came by the broadcast channel")?,
            broadcasts_missed: counter("broadcasts_missed_total", "Broadcasts that subscribers missed as they lagged")?,
            bytes_sent: counter("bytes_sent_total", "Bytes of streams, without HTTP's own")?,
            compression_bytes_in: by(
                "mode",
                "compression_bytes_in_total",
                "Bytes of events before they were compressed",
            )?,
            compression_bytes_out: by("mode", "compression_bytes_out_total", "Bytes of the same, compressed")?,
            publish_latency: histogram(
                "publish_latency_seconds",
                "From an event's time in the log until a shard has written it",
            )?,
            lag: histogram("lag_seconds", "How far those lag whose sockets are full, once a second for each")?,
            replay_hits: by("from", "replay_hits_total", "Times that what one lacked was in memory, by where")?,
            replay_misses: counter(
                "replay_misses_total",
                "Times that one had to wait for the broker for what it lacked",
            )?,
            replays: counter("replays_total", "Pages of older events read from the broker for subscribers")?,
            gaps: counter("gaps_total", "Subscribers told that events are gone (event: gap)")?,
            resets: counter("resets_total", "Subscribers and nodes told that the log began anew (event: reset)")?,
            ring_events: gauge("ring_events", "Events held in memory")?,
            ring_bytes: gauge("ring_bytes", "Bytes of the frames held in memory")?,
            broker_up: gauge("broker_up", "1 while the broker answers")?,
            broker_errors: counter("broker_errors_total", "Times that the broker did not answer as it should")?,
            taps: gauge("taps", "Taps that are being read")?,
            probes: by("outcome", "probes_total", "Probes of the public path, by outcome")?,
            registry,
        }));
        // What has not happened yet is told as 0.
        metrics.skipped(SlowConsumer::SkipToLatest, 0);
        metrics.skipped(SlowConsumer::LatestPerTopic, 0);
        for by in ["fleet", "node", "nobody"] {
            metrics.limit_decisions.with_label_values(&[by]).inc_by(0);
        }
        metrics.http_refused.with_label_values(&["head_late"]).inc_by(0);
        for outcome in ["ok", "failed"] {
            metrics.jwks_fetches.with_label_values(&[outcome]).inc_by(0);
        }
        for outcome in ["answered", "refused", "busy"] {
            metrics.probes.with_label_values(&[outcome]).inc_by(0);
        }
        for mode in [CompressionMode::Envelope, CompressionMode::Transport] {
            metrics.compressor(mode);
        }
        for from in [Memory::Ring, Memory::Page] {
            metrics.replayed(from, 0);
        }
        Ok(metrics)
    }

    pub fn opened(&self, resumed: bool) {
        self.connections_opened.inc();
        if resumed {
            self.connections_resumed.inc();
        }
    }

    pub fn closed(&self, why: Closed) {
        self.connections_closed.with_label_values(&[why.label()]).inc();
    }

    pub fn skipped(&self, policy: SlowConsumer, events: u64) {
        self.events_skipped.with_label_values(&[&format!("{policy:?}")]).inc_by(events);
    }

    /// Someone who lacked something found it.
    pub fn replayed(&self, from: Memory, times: u64) {
        self.replay_hits.with_label_values(&[from.label()]).inc_by(times);
    }

    /// One that counts what it does for this mode.
    pub fn compressor(&self, mode: CompressionMode) -> Compressor {
        let mode = [&*format!("{mode:?}")];
        let (before, after) = (&self.compression_bytes_in, &self.compression_bytes_out);
        Compressor::new(before.with_label_values(&mode), after.with_label_values(&mode))
    }

    /// The Prometheus text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
