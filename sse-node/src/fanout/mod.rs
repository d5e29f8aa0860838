//! From the log to the subscribers: one ring of encoded frames, and a cursor for each connection.
//!
//! `ring` and `topics` are pure; `hub` keeps the ring filled from the broker; `subscription` is one
//! subscriber: its cursor, its topics, and the stream of bytes that follows from them.

pub mod hub;
pub mod ring;
pub mod subscription;
pub mod topics;
