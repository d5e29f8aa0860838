//! Probes by real proxies: nginx in the ways that people set it up, in front of a real node, and servers that are none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod answers;
mod nginx;
mod tls;
mod world;
