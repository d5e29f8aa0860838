//! The rows of the design as bytes: whole conversations with a node over bare sockets, kept in `snapshots/` for a reviewer
//! to read. Row S4 has its own in `auth`. What differs from run to run (dates, the log's epoch, jitter) stands there as a
//! word in angle brackets, and nothing else is left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod compression;
mod conversation;
mod cors;
mod endpoints;
mod limits;
mod monitor;
#[path = "../stream/support.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use sse_node::broker::{Retention, memory::Memory};

use crate::support::{Node, stream};

/// A node with a memory broker, and this in its spec.
async fn node(more: Value) -> Node {
    let mut spec = json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}
