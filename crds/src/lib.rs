//! The API of ssefleet: `SseStream`, its defaults, its rules, and its validated form.
//!
//! One schema serves everyone: the operator, `sse-node`, the Helm chart's CRD and the field reference
//! are all made from the types in this crate. A manifest is read by [`manifest`], the same way on a
//! laptop as in a pod, and becomes a [`Stream`], which has no invalid state: whoever holds one never
//! checks again.

pub mod auth;
pub mod autoscaling;
pub mod broker;
pub mod compression;
pub mod connections;
pub mod cors;
pub mod edition;
pub mod exposure;
pub mod fleet;
pub mod history;
pub mod manifest;
pub mod names;
pub mod part;
pub mod probe;
pub mod rate_limits;
pub mod status;
mod stream;
pub mod units;
pub mod validated;

pub use status::SseStreamStatus;
pub use stream::{SseStream, SseStreamSpec, crd};
pub use validated::Stream;

/// The API group of every resource here.
pub const GROUP: &str = "ssefleet.dev";
