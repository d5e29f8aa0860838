//! `spec.history`: how far back a subscriber that was away can resume.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How far back a subscriber that was away can resume.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// How many events the log keeps, at least; older ones go. A subscriber that was away for longer gets
    /// an `event: gap` that says how many it missed, then what is left. Default 10000.
    #[serde(default = "default_max_events")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_events: u32,

    /// The largest event, counted as its data in bytes; a larger one is refused with 413.
    /// A quantity. Default 256Ki.
    #[serde(default = "default_max_event_bytes")]
    #[x_kube(validation = Rule::new("isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1')) >= 0 && quantity(string(self)).compareTo(quantity('16Mi')) <= 0").message("history.maxEventBytes must be a quantity from 1 to 16Mi, for example 256Ki"))]
    pub max_event_bytes: IntOrString,
}

fn default_max_events() -> u32 {
    10_000
}

fn default_max_event_bytes() -> IntOrString {
    IntOrString::String("256Ki".into())
}

impl Default for History {
    fn default() -> Self {
        Self { max_events: default_max_events(), max_event_bytes: default_max_event_bytes() }
    }
}
