//! What the operator says to the API server, and what comes of it when the answers are bad, late or lost: the real
//! program, before a real API server without nodes, with a proxy between them.
//!
//! Pods never start here. What is looked at is the stream's children and status, and every request.

#![allow(clippy::panic, reason = "a test fails by panicking, in a sentence")]
#![allow(clippy::float_cmp, reason = "counters hold whole numbers")]

mod arena;
mod away;
mod faults;
mod kill_points;
mod older_kind;
mod process;
mod thousand;
mod watches;
mod webhook;
