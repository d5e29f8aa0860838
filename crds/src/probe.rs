//! A probe: a subscription by which the operator sees what the public path does to a stream. Here is what both ends
//! agree on: the pass that asks for one, and the comments that a node answers it with.
//!
//! The pass is signed by the stream's admin token, which itself never leaves the cluster's inside; it is good for a
//! short while, and what it opens is short and bounded. So whoever sees one on its way can do no more than watch a few
//! comments.

use std::{fmt, str::FromStr, time::Duration};

/// The field of a request that holds the pass, and of an answer that says why there is no probe.
pub const FIELD: &str = "x-sse-probe";
/// In an answer: the node doesn't know the pass.
pub const REFUSED: &str = "refused";
/// In an answer: the node has as many probes as it takes.
pub const BUSY: &str = "busy";
/// What stands in for the nodes while none can be reached says so in a comment of its stream, which browsers do not show.
pub const NO_NODE: &str = "no node can be reached for now; come back";
/// How far the clock of who made a pass may be from that of who reads it, either way.
pub const VALID: Duration = Duration::from_mins(2);
/// Between two comments.
pub const APART: Duration = Duration::from_millis(100);
/// No pass asks for more of both.
pub const MOST: Script = Script { comments: 50, silence: Duration::from_mins(2) };

/// What a node is to send: comments, and then nothing but heartbeats for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    pub comments: u32,
    /// In whole seconds.
    pub silence: Duration,
}

/// A request for a probe, as the field holds it but for the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    pub script: Script,
    /// When it was made, in seconds since 1970.
    pub made: u64,
}

impl Pass {
    /// What is signed: it is good for this stream only.
    pub fn claim(&self, namespace: &str, stream: &str) -> String {
        format!("ssefleet probe\n{namespace}/{stream}\n{self}")
    }

    /// The field's value.
    pub fn signed(&self, signature: &[u8]) -> String {
        let hex = signature.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        format!("{self}.{hex}")
    }

    /// A pass and its signature, which is still to be verified. None: it is no pass, or asks for too much.
    pub fn read(field: &str) -> Option<(Self, Vec<u8>)> {
        let (pass, signature) = field.rsplit_once('.')?;
        let mut parts = pass.split('.');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (made, comments, silence) = (number()?, number()?, Duration::from_secs(number()?));
        let script = Script { comments: u32::try_from(comments).ok()?, silence };
        let fits = parts.next().is_none() && script.comments <= MOST.comments && silence <= MOST.silence;
        fits.then_some((Self { script, made }, from_hex(signature)?))
    }

    /// Whether it was made lately, by a clock that shows `now` in seconds since 1970.
    pub fn is_fresh(&self, now: u64) -> bool {
        self.made.abs_diff(now) <= VALID.as_secs()
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.made, self.script.comments, self.script.silence.as_secs())
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() != 64 {
        return None; // HMAC-SHA256
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// A comment of a probe: a line of the stream, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comment {
    /// One of those that are sent apart, with when it was, in milliseconds since 1970.
    Sent { number: u32, at: u64 },
    /// A heartbeat of the silence.
    Waits,
    /// All is sent.
    End,
    /// The node is about to stop, and with it the probe.
    Stopped,
}

impl fmt::Display for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { number, at } => write!(f, ": probe {number} {at}"),
            Self::Waits => f.write_str(": probe waits"),
            Self::End => f.write_str(": probe end"),
            Self::Stopped => f.write_str(": probe stopped"),
        }
    }
}

impl FromStr for Comment {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        match line.strip_prefix(": probe ").ok_or(())? {
            "waits" => Ok(Self::Waits),
            "end" => Ok(Self::End),
            "stopped" => Ok(Self::Stopped),
            sent => {
                let (number, at) = sent.split_once(' ').ok_or(())?;
                Ok(Self::Sent { number: number.parse().map_err(drop)?, at: at.parse().map_err(drop)? })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASS: Pass = Pass { script: Script { comments: 10, silence: Duration::from_secs(20) }, made: 1_790_000_000 };

    #[test]
    fn a_pass_is_read_as_it_was_written() {
        let field = PASS.signed(&[0xa5; 32]);
        assert!(field.starts_with("1790000000.10.20.a5a5"), "{field}");
        assert_eq!(Pass::read(&field), Some((PASS, vec![0xa5; 32])));
        assert_eq!(PASS.claim("market", "quotes"), "ssefleet probe\nmarket/quotes\n1790000000.10.20");
        assert!(PASS.is_fresh(PASS.made + 120) && PASS.is_fresh(PASS.made - 120));
        assert!(!PASS.is_fresh(PASS.made + 121) && !PASS.is_fresh(PASS.made - 121));
    }

    #[test]
    fn what_is_no_pass_or_asks_for_too_much_is_none() {
        let signature = "0".repeat(64);
        for pass in ["", "1", "1.2", "1.2.3.4", "1.51.3", "1.2.121", "x.2.3", "1.-2.3", "1.2.3 ", "1.4294967297.3"] {
            assert_eq!(Pass::read(&format!("{pass}.{signature}")), None, "{pass}");
        }
        for signature in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Pass::read(&format!("1.2.3.{signature}")), None, "{signature}");
        }
    }

    #[test]
    fn comments_are_read_as_they_were_written() {
        for comment in
            [Comment::Sent { number: 3, at: 1_790_000_000_123 }, Comment::Waits, Comment::End, Comment::Stopped]
        {
            assert_eq!(comment.to_string().parse(), Ok(comment));
        }
        for other in ["", ":", ": probe", ": probe ", ": probe 1", ": probe 1 x", "data: x", ": probe 1 2 3"] {
            assert_eq!(other.parse::<Comment>(), Err(()), "{other}");
        }
    }
}
