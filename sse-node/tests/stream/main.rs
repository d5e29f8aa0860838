//! What a node promises to subscribers and publishers, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod drain;
mod http;
mod outage;
mod resume;
mod support;
