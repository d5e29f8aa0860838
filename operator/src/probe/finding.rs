//! What a probe has found, as the condition, the status and the metrics tell it.

use std::time::Duration;

/// What a probe has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub outcome: Outcome,
    /// A sentence or two: what was measured, and what to do.
    pub message: String,
    pub measured: Measured,
}

/// What was measured, as far as it came to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// From the request to the head of the answer.
    pub first_byte: Option<Duration>,
    /// Between two comments, where half are closer and half are farther.
    pub spacing: Option<Duration>,
    /// How long a stream stayed open that had nothing to say but heartbeats.
    pub held: Option<Duration>,
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Streaming,
    /// Comments that were sent apart came together.
    Buffered,
    /// The stream ended before it should.
    CutShort,
    /// Something on the way compresses it.
    Compressed,
    /// What answers is no stream, or not this one.
    WrongAnswer,
    /// A connection came about, and nothing more.
    NoAnswer,
    /// What answered is there for when no node can be reached.
    NoNode,
    TlsFailed,
    /// There was no connection: that may be the operator's network alone.
    NotReached,
    /// The nodes did not answer the probe, for reasons of their own.
    NotProbed,
}

impl Outcome {
    pub const ALL: [Self; 10] = [
        Self::Streaming,
        Self::Buffered,
        Self::CutShort,
        Self::Compressed,
        Self::WrongAnswer,
        Self::NoAnswer,
        Self::NoNode,
        Self::TlsFailed,
        Self::NotReached,
        Self::NotProbed,
    ];

    /// The condition's reason.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Streaming => "Streaming",
            Self::Buffered => "Buffered",
            Self::CutShort => "CutShort",
            Self::Compressed => "Compressed",
            Self::WrongAnswer => "WrongAnswer",
            Self::NoAnswer => "NoAnswer",
            Self::NoNode => "NoNode",
            Self::TlsFailed => "TlsFailed",
            Self::NotReached => "NotReached",
            Self::NotProbed => "NotProbed",
        }
    }

    /// The condition's status. None: the probe has learned nothing of the stream.
    pub fn holds(self) -> Option<bool> {
        match self {
            Self::Streaming => Some(true),
            Self::NotReached | Self::NotProbed => None,
            _ => Some(false),
        }
    }
}
