//! `spec.history`: how far back a subscriber that was away can resume.

#![allow(clippy::struct_field_names, reason = "each is a most of something, and named as Kubernetes names such fields")]

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Duration, seconds};

/// How far back a subscriber that was away can resume.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// How many events the log keeps; older ones go. A subscriber that was away for longer gets
    /// an `event: gap` that says how many it missed, then what is left. Default 10000.
    #[serde(default = "default_max_events")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_events: u32,

    /// How long the log keeps an event; nodes look every few seconds. A Go duration. Default 1h.
    #[serde(default = "default_max_age")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('8760h')").message("history.maxAge must be from 1s to 8760h"))]
    pub max_age: Duration,

    /// How much memory the log may take in the broker, and the newest part of it in each node; nodes look
    /// every few seconds. A quantity. Default 64Mi.
    #[serde(default = "default_max_bytes")]
    #[x_kube(validation = Rule::new("isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('64Ki')) >= 0 && quantity(string(self)).compareTo(quantity('1Ti')) <= 0").message("history.maxBytes must be a quantity from 64Ki to 1Ti, for example 64Mi"))]
    pub max_bytes: IntOrString,

    /// The largest event, counted as its data in bytes; a larger one is refused with 413.
    /// A quantity. Default 256Ki.
    #[serde(default = "default_max_event_bytes")]
    #[x_kube(validation = Rule::new("isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1')) >= 0 && quantity(string(self)).compareTo(quantity('16Mi')) <= 0").message("history.maxEventBytes must be a quantity from 1 to 16Mi, for example 256Ki"))]
    pub max_event_bytes: IntOrString,
}

fn default_max_events() -> u32 {
    10_000
}

fn default_max_age() -> Duration {
    seconds(3600)
}

fn default_max_bytes() -> IntOrString {
    IntOrString::String("64Mi".into())
}

fn default_max_event_bytes() -> IntOrString {
    IntOrString::String("256Ki".into())
}

impl Default for History {
    fn default() -> Self {
        Self {
            max_events: default_max_events(),
            max_age: default_max_age(),
            max_bytes: default_max_bytes(),
            max_event_bytes: default_max_event_bytes(),
        }
    }
}
