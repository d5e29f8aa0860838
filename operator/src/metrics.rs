//! What the operator counts. One registry for each run, so that several can run in one process.

use std::{
    fmt::Write,
    sync::{Arc, OnceLock},
    time::Duration,
};

use kube::{ResourceExt, runtime::reflector::Store};
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder, core::Collector,
    process_collector::ProcessCollector,
};
use ssefleet_crds::SseStream;

/// The operator's metrics; a clone counts into the same.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// `ssefleet_operator_reconciles_total{result}`
    pub reconciles: IntCounterVec,
    /// `ssefleet_operator_reconcile_errors_total{reason}`
    pub errors: IntCounterVec,
    /// `ssefleet_operator_api_writes_total{kind,verb}`: children, status and events; not the lease's renewals.
    pub writes: IntCounterVec,
    /// `ssefleet_operator_reconcile_seconds`
    pub seconds: Histogram,
    /// `ssefleet_operator_scalings_total{direction}`
    scalings: IntCounterVec,
    /// `ssefleet_operator_shed_connections_total`
    pub shed_connections: IntCounter,
    /// `ssefleet_operator_leader`: 1 while this replica reconciles.
    pub leader: IntGauge,
    /// `ssefleet_operator_probes_total{result}`
    probes: IntCounterVec,
    /// `ssefleet_operator_probe_first_byte_seconds`
    probe_first_byte: Histogram,
    /// Whose conditions are told, once this replica knows them.
    streams: Arc<OnceLock<Store<SseStream>>>,
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self {
            reconciles: register(
                &registry,
                IntCounterVec::new(opts("reconciles_total", "Reconciles by their result: ok or error."), &["result"]),
            )?,
            errors: register(
                &registry,
                IntCounterVec::new(opts("reconcile_errors_total", "Failed reconciles by reason."), &["reason"]),
            )?,
            writes: register(
                &registry,
                IntCounterVec::new(
                    opts("api_writes_total", "Writes to the API server: children, status and events."),
                    &["kind", "verb"],
                ),
            )?,
            seconds: register(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new("ssefleet_operator_reconcile_seconds", "How long a reconcile takes.")
                        .buckets(vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0]),
                ),
            )?,
            scalings: register(
                &registry,
                IntCounterVec::new(
                    opts("scalings_total", "Times that autoscaling in mode Operator changed the number of nodes."),
                    &["direction"],
                ),
            )?,
            shed_connections: register(
                &registry,
                IntCounter::with_opts(opts(
                    "shed_connections_total",
                    "Connections that nodes were asked to let go, so that others get their share.",
                )),
            )?,
            leader: register(
                &registry,
                IntGauge::with_opts(opts("leader", "1 while this replica reconciles, 0 while it stands by.")),
            )?,
            probes: register(
                &registry,
                IntCounterVec::new(
                    opts("probes_total", "Probes of streams by their public path, by result."),
                    &["result"],
                ),
            )?,
            probe_first_byte: register(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "ssefleet_operator_probe_first_byte_seconds",
                        "From a probe's request until the head of its answer, of those that were good.",
                    )
                    .buckets(vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0]),
                ),
            )?,
            registry,
            streams: Arc::default(),
        })
    }

    /// One write, counted before it is sent: a refused one has burdened the API server too.
    pub fn write(&self, kind: &str, verb: &str) {
        self.writes.with_label_values(&[kind, verb]).inc();
    }

    /// A probe has ended so; where it was answered, after so long.
    pub fn probed(&self, reason: &str, first_byte: Option<Duration>) {
        self.probes.with_label_values(&[reason]).inc();
        if let Some(first_byte) = first_byte {
            self.probe_first_byte.observe(first_byte.as_secs_f64());
        }
    }

    /// From now on, the conditions of these streams are told too.
    pub fn tell_of(&self, streams: Store<SseStream>) {
        self.streams.set(streams).ok(); // a replica that leads again has a process of its own
    }

    /// Autoscaling has changed the number of nodes.
    pub fn scaled(&self, from: i32, to: i32) {
        self.scalings.with_label_values(&[if to > from { "up" } else { "down" }]).inc();
    }

    /// In Prometheus' text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        if let Some(streams) = self.streams.get() {
            text.push_str(&conditions(&streams.state()));
        }
        Ok(text)
    }
}

/// Read off the statuses when someone asks: a gauge for each would cost more memory than the streams themselves.
fn conditions(streams: &[Arc<SseStream>]) -> String {
    let mut text = String::from(
        "# HELP ssefleet_operator_stream_condition 1 while a stream's condition is True, 0 while it is False.\n\
         # TYPE ssefleet_operator_stream_condition gauge\n",
    );
    for stream in streams {
        let (namespace, name) = (stream.namespace().unwrap_or_default(), stream.name_any());
        for condition in stream.status.iter().flat_map(|status| &status.conditions) {
            let value = match condition.status.as_str() {
                "True" => 1,
                "False" => 0,
                _ => continue,
            };
            let type_ = &condition.type_;
            // Names and types need no quoting. Writing to a String cannot fail.
            let _ = writeln!(
                text,
                r#"ssefleet_operator_stream_condition{{namespace="{namespace}",stream="{name}",type="{type_}"}} {value}"#
            );
        }
    }
    text
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("ssefleet_operator_{name}"), help)
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: Result<C, prometheus::Error>,
) -> Result<C, prometheus::Error> {
    let collector = collector?;
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_told_as_numbers_and_unknown_ones_not_at_all() {
        let condition = |type_: &str, status: &str| {
            serde_json::json!({"type": type_, "status": status, "reason": "R", "message": "",
                               "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        let status = serde_json::json!({"replicas": 1, "readyReplicas": 1, "conditions":
            [condition("Ready", "True"), condition("Degraded", "False"), condition("StreamVerified", "Unknown")]});
        let mut stream = SseStream::new("quotes", serde_json::from_str("{}").unwrap());
        stream.metadata.namespace = Some("market".into());
        stream.status = Some(serde_json::from_value(status).unwrap());
        let text = conditions(&[Arc::new(stream)]);
        let told: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            told,
            [
                r#"ssefleet_operator_stream_condition{namespace="market",stream="quotes",type="Ready"} 1"#,
                r#"ssefleet_operator_stream_condition{namespace="market",stream="quotes",type="Degraded"} 0"#,
            ]
        );
    }

    #[test]
    fn the_docs_list_what_there_is() {
        let metrics = Metrics::new().unwrap();
        metrics.reconciles.with_label_values(&["ok"]).inc();
        metrics.errors.with_label_values(&["apply"]).inc();
        metrics.write("Deployment", "apply");
        metrics.probes.with_label_values(&["Verified"]).inc();
        metrics.scaled(1, 2);
        let text = metrics.text().unwrap() + &conditions(&[]);
        let mut there: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        there.retain(|line| line.starts_with("ssefleet_"));
        let docs = include_str!("../../docs/metrics.md");
        let mut listed: Vec<String> = docs
            .lines()
            .filter(|line| line.starts_with("| `ssefleet_operator_"))
            .map(|line| {
                let mut cells = line.split('|').map(str::trim).skip(1);
                let name = cells.next().unwrap().trim_matches('`');
                format!("{} {}", name.split('{').next().unwrap(), cells.next().unwrap())
            })
            .collect();
        listed.sort();
        there.sort_unstable();
        assert_eq!(there, listed);
    }
}
