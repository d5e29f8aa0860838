//! The pods of a managed Redis without a cluster: the very scripts and settings that the operator renders, run by real
//! Redis and Sentinel processes, each pod on a loopback address of its own. Pods are killed, wiped and started again in
//! every order; what was confirmed by a replica must be there in the end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod client;
mod pods;
mod replicated;
mod rotation;
