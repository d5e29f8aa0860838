//! The contract of a broker, held to by both: memory, and Redis by way of a real server.
//!
//! Each test is a promise of `sse_node::broker::Broker`. What both keep stands in `contract`, `once`,
//! `retention` and `revocations`; what only Redis can break, in `loss`, `restart` and `server`; `topologies` holds Sentinels
//! and Clusters to it, `faults` what is said when they are not as they should be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod broadcast;
mod contract;
mod faults;
mod loss;
mod once;
mod restart;
mod retention;
mod revocations;
mod server;
mod support;
mod topologies;
