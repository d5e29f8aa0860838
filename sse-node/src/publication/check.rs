//! What may be in an event: nothing that could end a line of a frame early, and nothing too long.

use super::{Place, Refused};
use crate::event::NewEvent;

/// The longest topic and event name, in bytes.
pub const MAX_NAME: usize = 256;

/// Nothing that could end a line early may enter a frame, and NUL no parser treats alike.
pub fn check(at: Place, new: NewEvent, max_event_bytes: usize) -> Result<NewEvent, Refused> {
    let bad = |why: &str| Err(Refused::BadEvent { at, why: why.into() });
    if let Err(why) = check_topic(&new.topic) {
        return bad(why);
    }
    if let Some(event) = &new.event {
        if event.is_empty() || event.len() > MAX_NAME {
            return bad("event must have from 1 to 256 bytes; leave it out for a plain message");
        }
        if event.contains(['\r', '\n', '\0']) {
            return bad("event may not hold CR, LF or NUL");
        }
        if matches!(event.as_str(), "gap" | "reset" | "token-expiring") {
            return bad("event may not be gap, reset or token-expiring: those are the fleet's own words");
        }
    }
    if new.data.contains('\0') {
        return bad("data may not hold NUL; encode binary data, for example as base64");
    }
    if new.data.len() > max_event_bytes {
        return Err(Refused::TooLarge { at, size: new.data.len(), limit: max_event_bytes });
    }
    Ok(new)
}

/// A topic is a name that a subscriber can ask for: `*` stands for a prefix there, so it can't be in it.
pub fn check_topic(topic: &str) -> Result<(), &'static str> {
    if topic.is_empty() || topic.len() > MAX_NAME {
        return Err("topic must have from 1 to 256 bytes");
    }
    if topic.contains(|c: char| c.is_control() || c == '*') {
        return Err("topic may not hold control characters or '*'");
    }
    Ok(())
}
