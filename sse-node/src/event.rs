//! Events and their place in the log.
//!
//! A [`Position`] is the log's epoch and a number that counts up by one from 1 within it. The epoch is new
//! whenever a log begins anew (a lost Redis, a restarted memory broker), so an id is never given twice and
//! a client that comes back with one from a lost log is told so. As text, on the wire and in
//! `Last-Event-ID`, it is `<epoch in base 36>-<number>`: short, and of characters that need no CORS
//! preflight on a cross-origin reconnect.

use std::{fmt, str::FromStr, time::Duration};

/// A place in the log: that of an event, or just before the first one (`seq` 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// When this log began, milliseconds since 1970, raised if need be to be above any epoch before.
    pub epoch: u64,
    /// The event's number within the epoch, from 1, without holes.
    pub seq: u64,
}

impl Position {
    pub fn new(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq }
    }

    /// The position just after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self { seq: self.seq.saturating_add(1), ..self }
    }

    /// The position just before this one.
    #[must_use]
    pub fn before(self) -> Self {
        Self { seq: self.seq.saturating_sub(1), ..self }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let (mut text, mut rest, mut at) = ([0_u8; 13], self.epoch, 13);
        loop {
            at -= 1;
            text[at] = DIGITS[(rest % 36) as usize];
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        for digit in &text[at..] {
            write!(f, "{}", char::from(*digit))?;
        }
        write!(f, "-{}", self.seq)
    }
}

/// Not the id of an event of any ssefleet log.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event id: an id looks like mdk3x9a1-42")]
pub struct NotAnId;

impl FromStr for Position {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (epoch, seq) = text.split_once('-').ok_or(NotAnId)?;
        // `parse` and `from_str_radix` take a leading '+', and upper case, which we never write.
        let ours = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        if !ours(epoch) || !ours(seq) {
            return Err(NotAnId);
        }
        Ok(Self { epoch: u64::from_str_radix(epoch, 36).map_err(|_| NotAnId)?, seq: seq.parse().map_err(|_| NotAnId)? })
    }
}

/// An event as a publisher gave it, checked: its fields fit into a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    pub topic: String,
    /// The `event:` of the frame; none means `message` to a browser.
    pub event: Option<String>,
    pub data: String,
    /// How long it is worth sending; none means for as long as the log keeps it.
    pub ttl: Option<Duration>,
}

/// An event that the log has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub position: Position,
    /// When it was published, in milliseconds since 1970 by the clock of the node that published it.
    pub at: u64,
    pub new: NewEvent,
}

impl Event {
    /// When it is no longer worth sending, in milliseconds since 1970.
    pub fn expires(&self) -> Option<u64> {
        self.new.ttl.map(|ttl| self.at.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Whether it is too late to send it. It keeps its place in the log all the same.
    pub fn expired(&self, now: u64) -> bool {
        self.expires().is_some_and(|expires| expires <= now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_short_and_needs_no_preflight() {
        let id = Position::new(1_795_368_000_000, 42).to_string();
        assert_eq!(id, "mws3r2tc-42");
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{id}");
        assert_eq!(Position::new(0, 0).to_string(), "0-0");
    }

    #[test]
    fn what_is_not_an_id_is_no_position() {
        for text in
            ["", "-", "a", "a-", "-1", "a-b", "+a-1", "a-+1", "A-1", "a-1-2", " a-1", "zzzzzzzzzzzzzzz-1", "é-1"]
        {
            assert_eq!(text.parse::<Position>(), Err(NotAnId), "{text:?}");
        }
    }

    #[test]
    fn an_event_expires_when_its_time_is_over() {
        let event = |ttl| Event {
            position: Position::new(1, 1),
            at: 1000,
            new: NewEvent { topic: "t".into(), event: None, data: String::new(), ttl },
        };
        let short = event(Some(Duration::from_millis(500)));
        assert!(!short.expired(1499) && short.expired(1500));
        assert!(!event(None).expired(u64::MAX));
        assert!(!event(Some(Duration::MAX)).expired(u64::MAX - 1));
    }

    proptest! {
        #[test]
        fn every_position_survives_the_wire(epoch: u64, seq: u64) {
            let position = Position::new(epoch, seq);
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = text.parse::<Position>();
        }
    }
}
