//! The edge, through the ingress: who gets in, how often, from which pages, and how small. What is changed in a stream
//! or a Secret holds in the pods that run.

mod auth;
mod compression;
mod cors;
mod limits;
mod publishing;
pub mod token;

use serde_json::{Value, json};
use ssefleet_tests::manifest;

/// One node behind the ingress, and more in its spec.
fn one_node(spec: &Value) -> Value {
    let exposed = json!({"exposure": {"ingress": {"controller": "Traefik"}}});
    manifest::with(manifest::with(manifest::memory(), &exposed), spec)
}
