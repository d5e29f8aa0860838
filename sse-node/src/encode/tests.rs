//! Frames, literally and as parsers read them; gzip streams, as those who know nothing of pieces read them.

use std::{convert::Infallible, io::Read, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use eventsource_stream::Eventsource;
use flate2::{Decompress, FlushDecompress, Status, read::MultiGzDecoder};
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;
use ssefleet_crds::compression::{Compression, CompressionMode};
use ssefleet_tests::sse::parser::Parser;

use super::*;
use crate::{
    event::{Event, NewEvent, Position},
    metrics::Metrics,
};

fn encoder(mode: CompressionMode, threshold_bytes: u32) -> Encoder {
    Encoder::new(&Compression { mode, threshold_bytes }, &Metrics::new().unwrap())
}

fn of(event: Option<&str>, data: &str) -> Event {
    let new = NewEvent { topic: "t".into(), event: event.map(Into::into), data: data.into(), ttl: None };
    Event { position: Position::new(35, 7), at: 0, new }
}

fn text(frame: &Frame) -> String {
    String::from_utf8(frame.plain().to_vec()).unwrap()
}

fn frame(event: Option<&str>, data: &str) -> String {
    text(&encoder(CompressionMode::Off, 0).event(&of(event, data)))
}

fn broadcast(payload: &str) -> Frame {
    encoder(CompressionMode::Off, 0).broadcast(payload)
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
    let body = |framing| Body::new(framing, Coding::Identity);
    let (chunked, plain) = (body(Framing::Chunked), body(Framing::Plain));
    assert_eq!(chunked.bytes(&frame), b"3\r\n:\n\n\r\n");
    assert_eq!(chunked.rest(&frame, 4), b"\n\n\r\n".as_slice());
    assert_eq!(plain.rest(&frame, 1), b"\n\n".as_slice());
    assert!(chunked.bytes(&broadcast(&"x".repeat(292))).starts_with(b"12c\r\ndata: x"));
    assert!(plain.end(&frame) == b":\n\n" && chunked.end(&frame) == b"3\r\n:\n\n\r\n0\r\n\r\n");
}

/// A stream of these frames in a coding, from its first byte to its last.
fn whole(frames: &[Frame], coding: Coding) -> Vec<u8> {
    let mut body = Body::new(Framing::Plain, coding);
    let mut stream = Vec::new();
    let (begin, rest) = frames.split_at(frames.len().min(2));
    body.begin(begin, &mut stream);
    for frame in rest {
        stream.extend_from_slice(body.bytes(frame));
        body.begun(frame);
    }
    stream.extend_from_slice(&body.end(&farewell(Duration::from_secs(1), "goodbye")));
    stream
}

fn gunzip(stream: &[u8]) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(stream).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_gzip_stream_is_literally_this() {
    let at = Position::new(35, 7);
    let stream = whole(&[greeting(Duration::from_secs(3), at), heartbeat(None)], Coding::Gzip);
    let wanted = [
        &b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..],
        b"\0\x15\0\xea\xffretry: 3000\nid: z-7\n\n\0\0\0\xff\xff",
        b"\0\x03\0\xfc\xff:\n\n\0\0\0\xff\xff",
        b"\0\x17\0\xe8\xffretry: 1000\n: goodbye\n\n\0\0\0\xff\xff",
        // The last block; then sum and length, as another program made them of this text.
        b"\x03\0\x72\xd8\xee\x60\x2f\0\0\0",
    ];
    assert_eq!(stream, wanted.concat());
}

/// What is in a piece by itself: all of it, and nothing that refers to what came before.
fn alone(piece: &[u8]) -> String {
    let mut text = Vec::with_capacity(1 << 20);
    let mut inflate = Decompress::new(false);
    let status = inflate.decompress_vec(piece, &mut text, FlushDecompress::Sync).unwrap();
    assert_eq!((status, inflate.total_in()), (Status::Ok, piece.len() as u64), "whole blocks, none of them the last");
    String::from_utf8(text).unwrap()
}

#[test]
fn only_what_is_longer_than_the_threshold_is_compressed() {
    let metrics = Metrics::new().unwrap();
    let compression = Compression { mode: CompressionMode::Transport, threshold_bytes: 100 };
    let encoder = Encoder::new(&compression, &metrics);
    let gzip = Body::new(Framing::Plain, Coding::Gzip);
    let size = |length| {
        let frame = encoder.event(&of(None, &"x".repeat(length)));
        (gzip.bytes(&frame).len(), frame.plain().len())
    };
    let (small, large) = (size(100), size(101));
    assert_eq!(small.0, small.1 + 10);
    assert!(large.0 < 40, "{large:?}");
    let (figures, mode) = (metrics.text().unwrap(), "{mode=\"Transport\"}");
    for (name, value) in [("in", large.1), ("out", large.0)] {
        let line = format!("ssefleet_node_compression_bytes_{name}_total{mode} {value}\n");
        assert!(figures.contains(&line), "{line} {figures}");
    }
    let again = size(101);
    assert_eq!(again, large, "nothing is left of the one before");
    // What can't be made smaller is not made larger.
    let noise: String = (0..5000).map(|_| fastrand::char('\u{4e00}'..'\u{9fff}')).collect();
    let frame = encoder.event(&of(None, &noise));
    assert!(gzip.bytes(&frame).len() <= frame.plain().len() + 10);
    // Nor is what no connection asks for.
    let hidden = metrics.text().unwrap();
    let _ = encoder.event(&of(None, &"y".repeat(500)));
    assert_eq!(metrics.text().unwrap(), hidden);
}

#[test]
fn envelopes_are_literally_these() {
    let enveloped = |data: &str, threshold| {
        frame_data(&text(&encoder(CompressionMode::Envelope, threshold).event(&of(Some("trade"), data))))
    };
    assert_eq!(enveloped("hello", 5), r#"{"compressed":false,"data":"hello"}"#);
    assert_eq!(enveloped("a\r\n\"b\"\t\\é\u{1}", 99), r#"{"compressed":false,"data":"a\r\n\"b\"\t\\é\u0001"}"#);
    assert_eq!(enveloped("", 0), r#"{"compressed":false,"data":""}"#);
    for data in ["hello!", "é\r\nx\n", &"[1,2,3]".repeat(10_000)] {
        let envelope = enveloped(data, 5);
        let base64 = envelope.strip_prefix(r#"{"compressed":true,"data":""#).and_then(|rest| rest.strip_suffix("\"}"));
        assert_eq!(gunzip(&STANDARD.decode(base64.unwrap()).unwrap()), data);
    }
    // Bytes, not characters.
    assert!(enveloped("éé", 3).starts_with(r#"{"compressed":true"#));
    let broadcast = text(&encoder(CompressionMode::Envelope, 5).broadcast("hello"));
    assert_eq!(broadcast, "data: {\"compressed\":false,\"data\":\"hello\"}\n\n");
}

/// The data of a frame of one event named trade, of one line.
fn frame_data(frame: &str) -> String {
    let data = frame.strip_prefix("id: z-7\nevent: trade\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
    data.unwrap_or_else(|| panic!("{frame}")).to_owned()
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
    let stream = [
        text(&greeting(Duration::from_secs(3), at.before())),
        frame(Some("trade"), "a\r\nb"),
        text(&heartbeat(None)),
        text(&broadcast("to all")),
        text(&gap(Missed::Slow(2), Position::new(35, 10))),
        text(&heartbeat(Some(Position::new(35, 12)))),
        text(&reset(Position::new(36, 1))),
        text(&farewell(Duration::from_secs(1), "goodbye")),
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

    /// Whatever follows whatever, in whichever mode it was encoded: unpacked, it is what others get as it is; and each
    /// piece means the same without those before it.
    #[test]
    fn pieces_in_any_order_are_a_gzip_stream(
        events in proptest::collection::vec((any::<bool>(), "[a-c\n]{0,200}|[\\PC]{0,50}", 1..400_usize), 1..20),
        threshold in 0..300_u32,
    ) {
        let modes = [encoder(CompressionMode::Off, threshold), encoder(CompressionMode::Transport, threshold)];
        let frames: Vec<Frame> = events
            .iter()
            .map(|(transport, data, times)| match times % 10 {
                0 => heartbeat(Some(Position::new(35, *times as u64))),
                1 => gap(Missed::Slow(*times as u64), Position::new(35, 900)),
                2 => modes[usize::from(*transport)].broadcast(data),
                _ => modes[usize::from(*transport)].event(&of(None, &data.repeat(*times))),
            })
            .collect();
        let plain = String::from_utf8(whole(&frames, Coding::Identity)).unwrap();
        prop_assert_eq!(gunzip(&whole(&frames, Coding::Gzip)), plain);
        let gzip = Body::new(Framing::Plain, Coding::Gzip);
        for frame in &frames {
            prop_assert_eq!(alone(gzip.bytes(frame)), text(frame));
        }
    }
}
