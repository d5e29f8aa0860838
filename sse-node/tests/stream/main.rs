//! What a node promises to subscribers and publishers, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod coded;
mod connections;
mod cors;
mod drain;
mod envelope;
mod failover;
mod gzip;
mod http;
mod monitor;
mod ndjson;
mod nginx;
mod outage;
mod pace;
mod probe;
mod publish;
mod reload;
mod resume;
mod retry;
mod shed;
mod support;
mod tap;
mod tls;
mod unplugged;
mod wire;
