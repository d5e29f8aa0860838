//! What a parser of the WHATWG's kind reads is what was published, however the bytes are cut, in either framing.
//! Of the input: a byte that says how the frame is cut, the event's name up to the first NUL, the data.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sse_node::{
    encode::{self, Frame, Framing},
    event::{Event, NewEvent, Position},
};

#[path = "../../tests/src/sse/parser.rs"]
mod parser;

fuzz_target!(|input: (u8, &str)| {
    let (size, text) = input;
    let (name, data) = text.split_once('\0').unwrap_or(("", text));
    // What `publication` lets through.
    let name = name.replace(['\r', '\n'], "");
    let data = data.replace('\0', "");
    let new =
        NewEvent { topic: "t".into(), event: (!name.is_empty()).then(|| name.clone()), data: data.clone(), ttl: None };
    let event = Event { position: Position::new(35, 7), at: 0, new };
    let data = data.replace("\r\n", "\n").replace('\r', "\n");
    read(&encode::event(&event), usize::from(size), "z-7", if name.is_empty() { "message" } else { &name }, &data);
    read(
        &encode::broadcast(text),
        usize::from(size),
        "",
        "message",
        &text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}"),
    );
});

fn read(frame: &Frame, size: usize, id: &str, name: &str, data: &str) {
    let plain = frame.bytes(Framing::Plain);
    assert_eq!(unchunked(frame.bytes(Framing::Chunked)), plain);
    assert_eq!(frame.rest(Framing::Plain, plain.len()), b"".as_slice());
    let mut parser = parser::Parser::new("");
    let events: Vec<_> = plain.chunks(size.max(1)).flat_map(|piece| parser.feed(piece)).collect();
    assert_eq!(events.len(), 1, "{plain:?}");
    assert_eq!((&*events[0].id, &*events[0].event, &*events[0].data), (id, name, data));
    assert_eq!(parser.retry(), None);
}

/// One chunk of RFC 9112, 7.1.
fn unchunked(chunk: &[u8]) -> &[u8] {
    let end = chunk.windows(2).position(|pair| pair == b"\r\n").unwrap();
    let size = usize::from_str_radix(std::str::from_utf8(&chunk[..end]).unwrap(), 16).unwrap();
    assert_eq!(&chunk[end + 2 + size..], b"\r\n");
    &chunk[end + 2..end + 2 + size]
}
