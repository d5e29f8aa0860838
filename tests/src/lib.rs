//! The harness of the tests that need a cluster.
//!
//! A test begins with [`cluster`] (and has it [alone](Cluster::alone) where others would disturb what it measures), makes a
//! [`namespace`] of its own, applies a stream there and holds on to a [`stream::Stream`], with which it edits,
//! publishes and subscribes as users do: through the API server, the publish Service and the ingress. Every wait
//! is by watch and has an end; a failed one panics with a sentence, and the namespace then tells what was in it.

#![allow(clippy::panic, reason = "a harness fails by panicking, in a sentence")]

pub mod apiserver;
pub mod ask;
pub mod cluster;
pub mod dial;
pub mod eventsource;
pub mod exec;
pub mod faults;
pub mod figures;
pub mod helm;
pub mod manifest;
pub mod must;
pub mod namespace;
pub mod nginx;
pub mod operator;
pub mod publisher;
pub mod redis;
pub mod release;
mod report;
pub mod settings;
pub mod sse;
pub mod stream;
mod turns;
pub mod wait;

pub use cluster::{Cluster, cluster};
pub use must::Must;
