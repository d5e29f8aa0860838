//! What ssefleet promises, on a real cluster: every test goes in by the front door, as a user does.
//!
//! Each file is a theme. Tests run beside each other, except those that ask for the cluster alone.

#![allow(clippy::panic, reason = "a test fails by panicking, in a sentence")]

mod autoscaling;
mod broker_ready;
mod deletion;
mod drain;
mod edge;
mod eviction;
mod examples;
mod explain;
mod exposures;
mod external_redis;
mod external_sentinels;
mod figures;
mod follow;
mod install;
mod kubectl;
mod live;
mod managed_redis;
mod paused;
mod quickstart;
mod redis_restart;
mod refused;
mod repair;
mod replicated_redis;
mod resume;
mod rollout;
mod steady;
mod verified;
