//! Turns: nodes that let go of connections at the same time take turns, so that all of them together keep to one rate.

use std::time::Duration;

/// What a node asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The node, by a name that no other has.
    pub node: String,
    /// How many connections it is going to let go of; none: it only says that it is there.
    pub count: u32,
    /// How long each of them takes.
    pub each: Duration,
}

/// When it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// So long until it may begin. It then has `count` times `each` for itself.
    pub after: Duration,
    /// How many nodes of the stream have been heard of lately, this one included.
    pub nodes: u32,
}

/// A node that has not said for so long that it is there no longer counts as one.
pub const PRESENT: Duration = Duration::from_secs(30);
