//! What hostile input gets: over real sockets, byte by byte, and by the thousand. After each attack an honest
//! subscriber still gets its events, and the memory is back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bodies;
mod by_hyper;
mod crowds;
mod deadlines;
mod fields;
mod http2;
mod process;
mod smuggling;
#[path = "../stream/support.rs"]
#[allow(dead_code, reason = "the tests of streams need more of it")]
mod support;
mod wire;
