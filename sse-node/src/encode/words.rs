//! What a node says itself: greetings, signs of life, and what a subscriber does not get. Never compressed: it is
//! short, and for one connection.

use std::time::Duration;

use super::frame::Frame;
use crate::event::Position;

fn own(text: &str) -> Frame {
    Frame::new(text, None)
}

/// What a stream begins with: how long to wait before a reconnect, and the position it begins at. The id
/// stands in a block without data, which sets the client's last event id and dispatches nothing; so a
/// client that loses the connection before its first event still misses nothing.
pub fn greeting(retry: Duration, at: Position) -> Frame {
    own(&format!("retry: {}\nid: {at}\n\n", retry.as_millis()))
}

/// A sign of life. When events of other topics have passed, it carries the position, so that a client of a
/// quiet topic does not come back with an id that has long left the history.
pub fn heartbeat(moved_to: Option<Position>) -> Frame {
    match moved_to {
        Some(position) => own(&format!("id: {position}\n\n")),
        None => own(":\n\n"),
    }
}

/// The last words of a stream that the node ends, or that it never began.
pub fn farewell(retry: Duration, why: &str) -> Frame {
    own(&format!("retry: {}\n: {why}\n\n", retry.as_millis()))
}

/// Why a subscriber does not get some events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The history no longer has them: so many of all topics.
    Expired(u64),
    /// It lagged too far and skips them: so many of its topics, and of all where the history had let go of them.
    Slow(u64),
}

/// Events that this subscriber does not get; `next` comes next.
pub fn gap(missed: Missed, next: Position) -> Frame {
    let (missed, reason) = match missed {
        Missed::Expired(n) => (n, "expired"),
        Missed::Slow(n) => (n, "slow"),
    };
    let id = next.before();
    own(&format!("id: {id}\nevent: gap\ndata: {{\"missed\":{missed},\"reason\":\"{reason}\"}}\n\n"))
}

/// The log is not the one that the subscriber's last event id is from: how much it missed is unknown.
pub fn reset(next: Position) -> Frame {
    let id = next.before();
    own(&format!("id: {id}\nevent: reset\ndata: {{\"reason\":\"the log began anew\"}}\n\n"))
}

/// The token that let this subscriber in is good for so long; its place in the log is `at`.
pub fn token_expiring(at: Position, seconds: u64) -> Frame {
    own(&format!("id: {at}\nevent: token-expiring\ndata: {{\"expiresIn\":{seconds}}}\n\n"))
}
