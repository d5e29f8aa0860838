//! Bytes on the wire: event-stream frames, by WHATWG HTML 9.2.5
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.
//!
//! Pure: no I/O, no clock. A frame is encoded once and shared by every connection.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;

use crate::event::{Event, Position};

/// The frame of one event. CR, LF and CRLF within the data each end a line, as a parser would read them, so
/// no data can begin a field of its own; `event` and `topic` were checked when they were published.
pub fn event(event: &Event) -> Bytes {
    let new = &event.new;
    let mut frame = String::with_capacity(new.data.len() + 64);
    let _ = writeln!(frame, "id: {}", event.position);
    if let Some(name) = &new.event {
        let _ = writeln!(frame, "event: {name}");
    }
    data(&mut frame, &new.data);
    frame.push('\n');
    frame.into()
}

/// What a stream begins with: how long to wait before a reconnect, and the position it begins at. The id
/// stands in a block without data, which sets the client's last event id and dispatches nothing; so a
/// client that loses the connection before its first event still misses nothing.
pub fn greeting(retry: Duration, at: Position) -> Bytes {
    format!("retry: {}\nid: {at}\n\n", retry.as_millis()).into()
}

/// A sign of life. When events of other topics have passed, it carries the position, so that a client of a
/// quiet topic does not come back with an id that has long left the history.
pub fn heartbeat(moved_to: Option<Position>) -> Bytes {
    match moved_to {
        Some(position) => format!("id: {position}\n\n").into(),
        None => Bytes::from_static(b":\n\n"),
    }
}

/// The last words of a stream that the node ends.
pub fn farewell(retry: Duration, why: &str) -> Bytes {
    format!("retry: {}\n: {why}\n\n", retry.as_millis()).into()
}

/// A message for every connection, kept nowhere: without an id, so that the place to resume from stays as it
/// is. NUL, which no parser treats alike, arrives as U+FFFD.
pub fn broadcast(payload: &str) -> Bytes {
    let mut frame = String::with_capacity(payload.len() + 16);
    if payload.contains('\0') {
        data(&mut frame, &payload.replace('\0', "\u{fffd}"));
    } else {
        data(&mut frame, payload);
    }
    frame.push('\n');
    frame.into()
}

/// Events that this subscriber can no longer get: `missed` of all topics, `next` comes next.
pub fn gap(missed: u64, next: Position) -> Bytes {
    format!("id: {}\nevent: gap\ndata: {{\"missed\":{missed}}}\n\n", next.before()).into()
}

/// The log is not the one that the subscriber's last event id is from: how much it missed is unknown.
pub fn reset(next: Position) -> Bytes {
    format!("id: {}\nevent: reset\ndata: {{\"reason\":\"the log began anew\"}}\n\n", next.before()).into()
}

fn data(frame: &mut String, data: &str) {
    let mut rest = data;
    loop {
        let end = rest.find(['\r', '\n']);
        frame.push_str("data: ");
        frame.push_str(&rest[..end.unwrap_or(rest.len())]);
        frame.push('\n');
        let Some(end) = end else { break };
        let width = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + width..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ssefleet_tests::sse::parser::Parser;

    use super::*;
    use crate::event::NewEvent;

    fn frame(event: Option<&str>, data: &str) -> Bytes {
        let new = NewEvent { topic: "t".into(), event: event.map(Into::into), data: data.into(), ttl: None };
        super::event(&Event { position: Position::new(35, 7), at: 0, new })
    }

    #[test]
    fn frames_are_literally_these() {
        assert_eq!(frame(None, "hello"), "id: z-7\ndata: hello\n\n");
        assert_eq!(frame(Some("trade"), "a\nb"), "id: z-7\nevent: trade\ndata: a\ndata: b\n\n");
        assert_eq!(frame(None, ""), "id: z-7\ndata: \n\n");
        assert_eq!(frame(None, "\n"), "id: z-7\ndata: \ndata: \n\n");
        assert_eq!(frame(None, "a\r\nb\rc\n"), "id: z-7\ndata: a\ndata: b\ndata: c\ndata: \n\n");
        assert_eq!(frame(None, " x"), "id: z-7\ndata:  x\n\n");
        assert_eq!(
            frame(None, "x\nid: forged\n\nevent: forged"),
            "id: z-7\ndata: x\ndata: id: forged\ndata: \ndata: event: forged\n\n"
        );
        assert_eq!(greeting(Duration::from_secs(3), Position::new(35, 7)), "retry: 3000\nid: z-7\n\n");
        assert_eq!(heartbeat(None), ":\n\n");
        assert_eq!(broadcast("a\r\nid: forged\n\nb"), "data: a\ndata: id: forged\ndata: \ndata: b\n\n");
        assert_eq!(broadcast("a\0b"), "data: a\u{fffd}b\n\n");
        assert_eq!(gap(3, Position::new(35, 7)), "id: z-6\nevent: gap\ndata: {\"missed\":3}\n\n");
    }

    proptest! {
        /// What a parser reads is what was published, up to the spelling of line ends, whatever it was.
        #[test]
        fn a_parser_reads_what_was_published(data in "[a-z: \r\n\u{feff}é]{0,60}") {
            let mut parser = Parser::new("");
            let events = parser.feed(&frame(None, &data));
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!(&events[0].data, &data.replace("\r\n", "\n").replace('\r', "\n"));
            prop_assert_eq!(events[0].id.as_str(), "z-7");
            prop_assert_eq!(events[0].event.as_str(), "message");
        }
    }
}
