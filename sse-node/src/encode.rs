//! Bytes on the wire: event-stream frames, by WHATWG HTML 9.2.5
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.
//!
//! Pure: no I/O, no clock. A frame is encoded once and shared by every connection.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use bytes::Bytes;

use crate::event::{Event, Position};

/// Text of an event stream as it lies in memory once and goes out to many: with the size line and the line
/// end of an HTTP/1.1 chunk (RFC 9112, 7.1) around it, which other framings leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    chunk: Bytes,
    /// How long the size line is.
    head: u8,
}

/// How a connection marks where a piece of the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// HTTP/1.1: chunked.
    Chunked,
    /// HTTP/1.0 (the body ends with the connection), and whatever does its own framing below us.
    Plain,
}

impl Frame {
    pub fn new(text: &str) -> Self {
        let mut chunk = Vec::with_capacity(text.len() + 12);
        // Writing to memory can't fail.
        let _ = write!(chunk, "{:x}\r\n", text.len());
        let head = u8::try_from(chunk.len()).unwrap_or(u8::MAX);
        chunk.extend_from_slice(text.as_bytes());
        chunk.extend_from_slice(b"\r\n");
        Self { chunk: chunk.into(), head }
    }

    /// What is written to a connection of this framing.
    pub fn bytes(&self, framing: Framing) -> &[u8] {
        match framing {
            Framing::Chunked => &self.chunk,
            Framing::Plain => &self.chunk[usize::from(self.head)..self.chunk.len() - 2],
        }
    }

    /// The rest of [`Frame::bytes`] from some byte on, to keep for later.
    pub fn rest(&self, framing: Framing, from: usize) -> Bytes {
        match framing {
            Framing::Chunked => self.chunk.slice(from..),
            Framing::Plain => self.chunk.slice(usize::from(self.head) + from..self.chunk.len() - 2),
        }
    }

    /// The bytes of memory that it takes.
    pub fn size(&self) -> usize {
        self.chunk.len()
    }
}

/// What ends a body of this framing when the connection is closed in order.
pub fn end(framing: Framing) -> &'static [u8] {
    match framing {
        Framing::Chunked => b"0\r\n\r\n",
        Framing::Plain => b"",
    }
}

/// The frame of one event. CR, LF and CRLF within the data each end a line, as a parser would read them, so
/// no data can begin a field of its own; `event` and `topic` were checked when they were published.
pub fn event(event: &Event) -> Frame {
    let new = &event.new;
    let mut frame = String::with_capacity(new.data.len() + 64);
    let _ = writeln!(frame, "id: {}", event.position);
    if let Some(name) = &new.event {
        let _ = writeln!(frame, "event: {name}");
    }
    data(&mut frame, &new.data);
    frame.push('\n');
    Frame::new(&frame)
}

/// What a stream begins with: how long to wait before a reconnect, and the position it begins at. The id
/// stands in a block without data, which sets the client's last event id and dispatches nothing; so a
/// client that loses the connection before its first event still misses nothing.
pub fn greeting(retry: Duration, at: Position) -> Frame {
    Frame::new(&format!("retry: {}\nid: {at}\n\n", retry.as_millis()))
}

/// A sign of life. When events of other topics have passed, it carries the position, so that a client of a
/// quiet topic does not come back with an id that has long left the history.
pub fn heartbeat(moved_to: Option<Position>) -> Frame {
    match moved_to {
        Some(position) => Frame::new(&format!("id: {position}\n\n")),
        None => Frame::new(":\n\n"),
    }
}

/// The last words of a stream that the node ends, or that it never began.
pub fn farewell(retry: Duration, why: &str) -> Frame {
    Frame::new(&format!("retry: {}\n: {why}\n\n", retry.as_millis()))
}

/// A message for every connection, kept nowhere: without an id, so that the place to resume from stays as it
/// is. NUL, which no parser treats alike, arrives as U+FFFD.
pub fn broadcast(payload: &str) -> Frame {
    let mut frame = String::with_capacity(payload.len() + 16);
    data(&mut frame, &payload.replace('\0', "\u{fffd}"));
    frame.push('\n');
    Frame::new(&frame)
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
    Frame::new(&format!("id: {id}\nevent: gap\ndata: {{\"missed\":{missed},\"reason\":\"{reason}\"}}\n\n"))
}

/// The log is not the one that the subscriber's last event id is from: how much it missed is unknown.
pub fn reset(next: Position) -> Frame {
    let id = next.before();
    Frame::new(&format!("id: {id}\nevent: reset\ndata: {{\"reason\":\"the log began anew\"}}\n\n"))
}

/// The token that let this subscriber in is good for so long; its place in the log is `at`.
pub fn token_expiring(at: Position, seconds: u64) -> Frame {
    Frame::new(&format!("id: {at}\nevent: token-expiring\ndata: {{\"expiresIn\":{seconds}}}\n\n"))
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
    use std::convert::Infallible;

    use eventsource_stream::Eventsource;
    use futures_util::{FutureExt, StreamExt};
    use proptest::prelude::*;
    use ssefleet_tests::sse::parser::Parser;

    use super::*;
    use crate::event::NewEvent;

    fn text(frame: &Frame) -> &str {
        std::str::from_utf8(frame.bytes(Framing::Plain)).unwrap()
    }

    fn frame(event: Option<&str>, data: &str) -> String {
        let new = NewEvent { topic: "t".into(), event: event.map(Into::into), data: data.into(), ttl: None };
        text(&super::event(&Event { position: Position::new(35, 7), at: 0, new })).into()
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
        let at = Position::new(35, 7);
        assert_eq!(text(&greeting(Duration::from_secs(3), at)), "retry: 3000\nid: z-7\n\n");
        assert_eq!(text(&heartbeat(None)), ":\n\n");
        assert_eq!(text(&broadcast("a\r\nid: forged\n\nb")), "data: a\ndata: id: forged\ndata: \ndata: b\n\n");
        assert_eq!(text(&broadcast("a\0b")), "data: a\u{fffd}b\n\n");
        let gap = gap(Missed::Expired(3), at);
        let expiring = token_expiring(at, 30);
        assert_eq!(text(&expiring), "id: z-7\nevent: token-expiring\ndata: {\"expiresIn\":30}\n\n");
        assert_eq!(text(&gap), "id: z-6\nevent: gap\ndata: {\"missed\":3,\"reason\":\"expired\"}\n\n");
    }

    #[test]
    fn one_copy_serves_both_framings() {
        let frame = heartbeat(None);
        assert_eq!(frame.bytes(Framing::Chunked), b"3\r\n:\n\n\r\n");
        assert_eq!(frame.rest(Framing::Chunked, 4), b"\n\n\r\n".as_slice());
        assert_eq!(frame.rest(Framing::Plain, 1), b"\n\n".as_slice());
        assert!(Frame::new(&"x".repeat(300)).bytes(Framing::Chunked).starts_with(b"12c\r\nx"));
    }

    /// What a parser that is none of ours makes of a whole stream: name, id, data of each event.
    fn by_another_parser(stream: &str) -> Vec<(String, String, String)> {
        let pieces = futures_util::stream::iter([Ok::<_, Infallible>(stream.as_bytes().to_vec())]);
        let events = pieces.eventsource().map(|event| event.unwrap()).collect::<Vec<_>>().now_or_never().unwrap();
        events.into_iter().map(|event| (event.event, event.id, event.data)).collect()
    }

    #[test]
    fn another_parser_reads_all_that_a_stream_may_hold() {
        let at = Position::new(35, 7);
        let own = |frame: &Frame| text(frame).to_owned();
        let stream = [
            own(&greeting(Duration::from_secs(3), at.before())),
            frame(Some("trade"), "a\r\nb"),
            own(&heartbeat(None)),
            own(&broadcast("to all")),
            own(&gap(Missed::Slow(2), Position::new(35, 10))),
            own(&heartbeat(Some(Position::new(35, 12)))),
            own(&reset(Position::new(36, 1))),
            own(&farewell(Duration::from_secs(1), "goodbye")),
        ];
        let told = |event: &str, id: &str, data: &str| (event.to_owned(), id.to_owned(), data.to_owned());
        assert_eq!(
            by_another_parser(&stream.concat()),
            [
                told("trade", "z-7", "a\nb"),
                told("message", "z-7", "to all"),
                told("gap", "z-9", r#"{"missed":2,"reason":"slow"}"#),
                told("reset", "10-0", r#"{"reason":"the log began anew"}"#),
            ]
        );
    }

    proptest! {
        /// What a parser reads is what was published, up to the spelling of line ends, whatever it was.
        #[test]
        fn a_parser_reads_what_was_published(data in "[a-z: \r\n\u{feff}é]{0,60}") {
            let mut parser = Parser::new("");
            let events = parser.feed(frame(None, &data).as_bytes());
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!(&events[0].data, &data.replace("\r\n", "\n").replace('\r', "\n"));
            prop_assert_eq!(events[0].id.as_str(), "z-7");
            prop_assert_eq!(events[0].event.as_str(), "message");
            let other = by_another_parser(&frame(None, &data));
            prop_assert_eq!(other, [("message".into(), "z-7".into(), events[0].data.clone())]);
        }
    }
}
