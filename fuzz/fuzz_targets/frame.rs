//! What a parser of the WHATWG's kind reads is what was published, however the bytes are cut, in either framing, and
//! packed or not; another program than ours unpacks it, and checks the sum.
//! Of the input: a byte that says how the stream is cut, the event's name up to the first NUL, the data.
#![no_main]

use std::{io::Read, sync::LazyLock, time::Duration};

use flate2::read::GzDecoder;
use libfuzzer_sys::fuzz_target;
use sse_node::{
    encode::{Body, Coding, Encoder, Frame, Framing, farewell},
    event::{Event, NewEvent, Position},
    metrics::Metrics,
};
use ssefleet_crds::compression::{Compression, CompressionMode};

#[path = "../../tests/src/sse/parser.rs"]
mod parser;

static ENCODER: LazyLock<Encoder> = LazyLock::new(|| {
    let compression = Compression { mode: CompressionMode::Transport, threshold_bytes: 40 };
    Encoder::new(&compression, &Metrics::new().unwrap())
});

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
    let frame = ENCODER.event(&event);
    read(&frame, usize::from(size), "z-7", if name.is_empty() { "message" } else { &name }, &data);
    let broadcast = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
    read(&ENCODER.broadcast(text), usize::from(size), "", "message", &broadcast);
});

fn read(frame: &Frame, size: usize, id: &str, name: &str, data: &str) {
    let plain = stream(frame, Framing::Plain, Coding::Identity);
    assert_eq!(unchunked(&stream(frame, Framing::Chunked, Coding::Identity)), plain);
    let packed = stream(frame, Framing::Plain, Coding::Gzip);
    assert_eq!(unchunked(&stream(frame, Framing::Chunked, Coding::Gzip)), packed);
    let (mut unpacked, mut packed) = (Vec::new(), &*packed);
    GzDecoder::new(&mut packed).read_to_end(&mut unpacked).unwrap();
    assert!(packed.is_empty() && unpacked == plain);

    let mut parser = parser::Parser::new("");
    let events: Vec<_> = plain.chunks(size.max(1)).flat_map(|piece| parser.feed(piece)).collect();
    assert_eq!(events.len(), 1, "{plain:?}");
    assert_eq!((&*events[0].id, &*events[0].event, &*events[0].data), (id, name, data));
    assert_eq!(parser.retry(), Some(1000));
}

/// A whole body: the frame, and last words.
fn stream(frame: &Frame, framing: Framing, coding: Coding) -> Vec<u8> {
    let (mut body, mut stream) = (Body::new(framing, coding), Vec::new());
    body.begin(&[], &mut stream);
    stream.extend_from_slice(body.bytes(frame));
    assert!(body.rest(frame, body.bytes(frame).len()).is_empty());
    body.begun(frame);
    stream.extend(body.end(&farewell(Duration::from_secs(1), "goodbye")));
    stream
}

/// The content of a chunked body, RFC 9112, 7.1.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let end = body.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        let (chunk, rest) = body[end + 2..].split_at(size);
        content.extend_from_slice(chunk);
        body = rest.strip_prefix(b"\r\n").unwrap();
        if size == 0 {
            assert!(body.is_empty());
            return content;
        }
    }
}
