//! From the log to the subscribers: one ring of encoded frames, and a cursor for each connection.
//!
//! `hub` keeps the ring filled from the broker and hands connections to the shards; a `shard` is a thread with
//! its sockets, and its `audience` is what becomes of an event among them. `replay` reads what is older than
//! the ring; a `tap` shows what is written. `ring`, `index`, `wheel`, `topics` and `audience` do no I/O of their own.

pub mod audience;
pub mod clock;
pub mod hub;
pub mod index;
pub mod lapse;
pub mod mailbox;
pub mod page;
pub mod replay;
pub mod ring;
pub mod shard;
mod sync;
pub mod tap;
pub mod tie;
pub mod topics;
pub mod wheel;
