//! What a node promises about who may subscribe and who may publish, over real sockets, with real signatures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod attacks;
mod expiry;
mod issuer;
mod key_server;
mod key_sets;
mod publish;
mod revocation;
mod rotation;
mod subscribe;
#[path = "../stream/support.rs"]
#[allow(dead_code, reason = "shared with the tests of streams")]
mod support;
mod world;
