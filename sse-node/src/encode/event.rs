//! The text of an event's frame.

use std::fmt::Write as _;

use crate::event::Event;

/// With this data, which is the event's own or an envelope of it. CR, LF and CRLF within it each end a line, as a
/// parser would read them, so no data can begin a field of its own; `event` and `topic` were checked when they were
/// published.
pub fn event(event: &Event, data: &str) -> String {
    let mut text = String::with_capacity(data.len() + 64);
    let _ = writeln!(text, "id: {}", event.position);
    if let Some(name) = &event.new.event {
        let _ = writeln!(text, "event: {name}");
    }
    lines(&mut text, data);
    text
}

/// Without an id, so that the place to resume from stays as it is.
pub fn broadcast(data: &str) -> String {
    let mut text = String::with_capacity(data.len() + 16);
    lines(&mut text, data);
    text
}

fn lines(text: &mut String, data: &str) {
    let mut rest = data;
    loop {
        let end = rest.find(['\r', '\n']);
        text.push_str("data: ");
        text.push_str(&rest[..end.unwrap_or(rest.len())]);
        text.push('\n');
        let Some(end) = end else { break };
        let width = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + width..];
    }
    text.push('\n');
}
