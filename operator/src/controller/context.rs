//! What every reconcile needs, and whatever else looks after streams.

use std::sync::Arc;

use kube::{
    Client,
    runtime::{events::Recorder, reflector::Store},
};
use ssefleet_crds::SseStream;

use super::memory::Memory;
use crate::{
    autoscale::scalers::Scalers,
    metrics::Metrics,
    nodes::{Nodes, Pods},
    probe::Probes,
    secrets::Secrets,
    settings::Settings,
    trigger::Trigger,
    watch::Stores,
};

/// What every reconcile needs.
pub struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) stores: Stores,
    pub(crate) metrics: Metrics,
    pub(crate) memory: Memory,
    pub(crate) nodes: Nodes,
    pub(crate) pods: Pods,
    pub(crate) secrets: Secrets,
    pub(crate) trigger: Trigger,
    pub(crate) scalers: Scalers,
    pub(crate) streams: Store<SseStream>,
    pub(crate) recorder: Recorder,
    pub(crate) probes: Arc<Probes>,
}
