//! Rate limits: the contract of what counts, and what clients and publishers of a node with limits meet.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod away;
mod client;
mod concurrent;
mod connect;
mod contract;
mod fleet;
#[path = "../auth/issuer.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod issuer;
mod passes;
mod publish;
mod raw;
#[path = "../stream/support.rs"]
#[allow(dead_code, reason = "others need more of it")]
mod support;
