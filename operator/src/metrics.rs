//! What the operator counts. One registry for each run, so that several can run in one process.

use prometheus::{
    Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder, core::Collector,
    process_collector::ProcessCollector,
};

use crate::probe::Finding;

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
    /// `ssefleet_operator_leader`: 1 while this replica reconciles.
    pub leader: IntGauge,
    /// `ssefleet_operator_probes_total{result}`
    probes: IntCounterVec,
    /// `ssefleet_operator_probe_first_byte_seconds`
    probe_first_byte: Histogram,
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
        })
    }

    /// One write, counted before it is sent: a refused one has burdened the API server too.
    pub fn write(&self, kind: &str, verb: &str) {
        self.writes.with_label_values(&[kind, verb]).inc();
    }

    pub(crate) fn probed(&self, finding: &Finding) {
        self.probes.with_label_values(&[finding.outcome.reason()]).inc();
        if let Some(first_byte) = finding.measured.first_byte {
            self.probe_first_byte.observe(first_byte.as_secs_f64());
        }
    }

    /// In Prometheus' text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
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
