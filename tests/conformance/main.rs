//! What clients meet at a node, and who else than this project says so.
//!
//! `columns` runs the program `conformance` (its source is `runner/`) against a node, against a node behind nginx and
//! behind Traefik, and against Nchan; `usage` has that program by itself. The other tests have two clients that are not ours, the package `eventsource` on
//! Node and the EventSource of Chromium (`ssefleet_tests::eventsource`), meet what happens to a stream in its life.
//! Between client and node stands a [`relay`], which sees what is asked, and can cut, turn and hold connections.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod columns;
mod compression;
mod credentials;
mod debugger;
mod expected;
mod http;
mod processes;
mod refusals;
mod relay;
mod runner;
mod servers;
mod streams;
mod usage;

use std::time::Duration;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
