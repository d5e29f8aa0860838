//! What is known of all streams' autoscaling.

use std::{collections::HashMap, sync::Arc, time::Instant};

use kube::ResourceExt;
use parking_lot::Mutex;
use ssefleet_crds::{
    SseStream,
    autoscaling::{Autoscaling, AutoscalingMode, AutoscalingStatus},
};

use super::{scaler::Scaler, verdict};
use crate::controller::conditions::Verdict;

/// All streams' scalers.
#[derive(Default)]
pub(crate) struct Scalers {
    /// By namespace and name.
    known: Mutex<HashMap<(String, String), Scaler>>,
}

/// What was decided for a stream in mode Operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    pub status: AutoscalingStatus,
    pub verdict: Verdict,
}

impl Scalers {
    /// Forgets all but these.
    pub fn retain(&self, streams: &[Arc<SseStream>]) {
        self.known.lock().retain(|known, _| streams.iter().any(|stream| key(stream) == *known));
    }

    /// What holds for the stream now; `None` if the operator is not the one who decides.
    pub fn of(&self, stream: &SseStream) -> Option<Scale> {
        let scaling = stream.spec.autoscaling.as_ref();
        let scaling = scaling.filter(|scaling| scaling.mode == AutoscalingMode::Operator)?;
        let (namespace, name) = key(stream);
        let scale = self.with(stream, scaling, Instant::now(), |scaler| {
            let verdict = verdict::verdict(scaler.why, scaler.is_suspended(), &name, &namespace);
            Scale { status: scaler.status(), verdict }
        });
        Some(scale)
    }

    /// The stream's scaler, which has taken note of `spec.fleet.replicas`.
    pub fn with<R>(
        &self,
        stream: &SseStream,
        scaling: &Autoscaling,
        now: Instant,
        then: impl FnOnce(&mut Scaler) -> R,
    ) -> R {
        let mut known = self.known.lock();
        let scaler = known.entry(key(stream)).or_insert_with(|| Scaler::new(stream, scaling, now));
        scaler.follow(stream, scaling, now);
        then(scaler)
    }
}

/// Namespace and name.
pub fn key(stream: &SseStream) -> (String, String) {
    (stream.namespace().unwrap_or_default(), stream.name_any())
}
