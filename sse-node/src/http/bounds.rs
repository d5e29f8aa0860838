//! How much of anything a client may send or keep us waiting for. docs/protocol.md tells clients.
//!
//! What a connection holds without having earned it is small, and is let go of after a while: a head that does not
//! come, a connection that is idle, an answer that is not taken. Bodies have theirs in `publish::intake`, streams in
//! `spec.connections`.

use std::time::Duration;

/// The largest head, in bytes; 431 beyond. Four lines of nginx' default (large_client_header_buffers 4 8k).
pub const MAX_HEAD: usize = 32 << 10;
/// The longest request target, in bytes; 414 beyond. RFC 9112, 3 asks for 8,000 at least; 100 topics want more.
pub const MAX_TARGET: usize = 16 << 10;
/// How many requests, and so streams, one HTTP/2 connection may have at a time. RFC 9113, 6.5.2 asks for 100.
pub const STREAMS: u32 = 250;
/// Streams that a client may reset before anybody has looked at them (CVE-2023-44487).
pub const RESETS_UNSEEN: usize = 20;
/// Streams that we may have to reset for a client's errors (CVE-2025-8671). One that does not know of [`STREAMS`] yet
/// may be that far beyond.
pub const ERRORS: usize = STREAMS as usize;
/// Streams of one HTTP/2 connection that its client may break off within [`Bounds::resets_within`]: each has cost a
/// subscription. A proxy whose clients all leave at once, come back and leave again stays below.
pub const RESETS: u32 = 4 * STREAMS;

/// What depends on time, and on how many there are; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For the whole head of a request, a TLS handshake, or the preface of HTTP/2. Half of Apache's (mod_reqtimeout:
    /// 20 s), as ours have no rate that makes it longer.
    pub head: Duration,
    /// For how long a connection may be kept without a request. As nginx has it (keepalive_timeout 75s): longer than
    /// proxies keep theirs, which would send a request just as we close.
    pub idle: Duration,
    /// For the client to take the next part of an answer that is no stream. As nginx has it (send_timeout 60s).
    pub taking: Duration,
    /// How many connections of a listener may owe us a head; the one that has for longest goes. Each may hold
    /// [`MAX_HEAD`]: 128 MiB at worst. A burst of honest ones, 10,000 a second from 300 ms away, is 3,000 at a time.
    pub waiting: usize,
    /// The time of [`RESETS`].
    pub resets_within: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { head: seconds(10), idle: seconds(75), taking: seconds(60), waiting: 4096, resets_within: seconds(10) }
    }
}
