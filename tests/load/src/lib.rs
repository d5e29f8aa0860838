//! What `make bench` and `make soak` are made of.
//!
//! Pure parts: [`http`], [`gunzip`] and [`sse`] read, [`check`] judges a connection's events, [`histogram`] and
//! [`payload`] measure. [`swarm`] subscribes, [`publisher`] publishes, [`slowloris`] does neither, [`baseline`] are
//! servers to compare with, and [`bench`]
//! starts them all as child processes and reads what they cost.

pub mod baseline;
pub mod bench;
pub mod check;
pub mod gunzip;
pub mod histogram;
pub mod http;
pub mod payload;
pub mod publisher;
pub mod slowloris;
pub mod sse;
pub mod swarm;
