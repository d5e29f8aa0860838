//! What a node promises to subscribers and publishers, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod connections;
mod cors;
mod drain;
mod http;
mod ndjson;
mod outage;
mod publish;
mod reload;
mod resume;
mod support;
mod tls;
mod unplugged;
mod wire;
