//! A publication with any head and body. What is taken fits into a frame; and NDJSON that is read as it comes is
//! what it is as a whole. Of the input: the query on the first line, header fields, a blank line, the body.
#![no_main]

use std::sync::LazyLock;

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};
use libfuzzer_sys::fuzz_target;
use sse_node::{
    encode::Encoder,
    event::{Event, NewEvent, Position},
    http::publish::lines::{Cut, Lines},
    metrics::Metrics,
    publication::{Head, Key, MAX_EVENTS, check_topic},
};
use ssefleet_crds::compression::Compression;

#[path = "../../tests/src/sse/parser.rs"]
mod parser;

const MAX_EVENT_BYTES: usize = 1024;

static ENCODER: LazyLock<Encoder> = LazyLock::new(|| Encoder::new(&Compression::default(), &Metrics::new().unwrap()));

fuzz_target!(|input: &[u8]| {
    let end = input.windows(2).position(|pair| pair == b"\n\n").unwrap_or(input.len());
    let (head, body) = (&input[..end], input.get(end + 2..).unwrap_or_default());
    let mut lines = head.split(|b| *b == b'\n');
    let query = lines.next().and_then(|query| std::str::from_utf8(query).ok());
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let key = Key::read(&headers);
    let Ok(head) = Head::read(&headers, query, MAX_EVENT_BYTES) else { return };
    let read = head.events(body);
    if head.is_lines() {
        assert_eq!(line_by_line(&head, body), read.as_ref().map(|publication| publication.events.clone()).ok());
    }
    let Ok(publication) = read else { return };
    assert!((1..=MAX_EVENTS).contains(&publication.events.len()));
    for new in &publication.events {
        fits(new);
    }
    if let Some(key) = key.ok().flatten().or(publication.key) {
        let once = key.of(&publication.events);
        assert!(once.key.bytes().all(|b| b.is_ascii_graphic()) && once.key.len() <= 300);
    }
});

fn fits(new: &NewEvent) {
    assert_eq!(check_topic(&new.topic), Ok(()));
    assert!(new.data.len() <= MAX_EVENT_BYTES);
    let frame = ENCODER.event(&Event { position: Position::new(35, 7), at: 0, new: new.clone() });
    let events = parser::Parser::new("").feed(&frame.plain());
    assert_eq!(events.len(), 1, "{new:?}");
    assert_eq!((&*events[0].id, &*events[0].event), ("z-7", new.event.as_deref().unwrap_or("message")));
    assert_eq!(events[0].data, new.data.replace("\r\n", "\n").replace('\r', "\n"));
}

/// As `publish::stream` does it, in pieces of seven bytes; none if it is refused.
fn line_by_line(head: &Head<'_>, body: &[u8]) -> Option<Vec<NewEvent>> {
    let mut lines = Lines::new(head.longest());
    let mut events = Vec::new();
    let mut pieces = body.chunks(7);
    loop {
        match lines.cut() {
            Cut::Line(number, line) => events.extend(head.line(number, &line).ok()?),
            Cut::More => match pieces.next() {
                Some(piece) => lines.push(piece),
                None => lines.end(),
            },
            Cut::TooLong => return None,
            Cut::End => break,
        }
    }
    (!events.is_empty()).then_some(events)
}
