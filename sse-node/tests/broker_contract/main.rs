//! The contract of a broker, held to by both: memory, and Redis by way of a real server.
//!
//! Each test is a promise of `sse_node::broker::Broker`. What both keep stands in `contract`, `once`,
//! `retention` and `revocations`; what only Redis can break, in `loss`, `restart` and `server`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod broadcast;
mod contract;
mod loss;
mod once;
mod restart;
mod retention;
mod revocations;
mod server;
mod support;
