//! HTTP/2 frame by frame, RFC 9113: resets and floods.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{process::Process, support::PATIENCE, wire::say};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The fields of a GET as HPACK writes them without a table: RFC 7541, 6.1 and 6.2.2.
fn fields(path: &str) -> Vec<u8> {
    [&[0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()], path.as_bytes(), b"\x01\x01x"].concat()
}

pub fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields(path))
}

/// One with fields of 1 KiB each.
fn large_fields(count: usize) -> Vec<u8> {
    // A literal without indexing: the name, then 1,000 bytes as 127 and 873 more in groups of seven bits.
    let one = [&b"\x00\x01a\x7f\xe9\x06"[..], &[b'b'; 1000]].concat();
    [fields("/health"), one.repeat(count)].concat()
}

async fn connect(node: &Process) -> TcpStream {
    say(node.public, [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await
}

/// The next frame; none when the connection is over.
async fn next(socket: &mut TcpStream) -> Option<(u8, u32, Vec<u8>)> {
    let reading = async {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        socket.read_exact(&mut payload).await.ok()?;
        Some((head[3], u32::from_be_bytes(head[5..9].try_into().unwrap()), payload))
    };
    timeout(PATIENCE, reading).await.expect("nothing comes")
}

/// All frames of a kind until the connection is over.
async fn all(socket: &mut TcpStream, kind: u8) -> Vec<(u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((of, stream, payload)) = next(socket).await {
        if of == kind {
            frames.push((stream, payload));
        }
    }
    frames
}

/// Asks for a stream, and breaks it off when its answer has begun; false when the connection is over.
pub async fn serve_and_reset(socket: &mut TcpStream, stream: u32, path: &str) -> bool {
    if socket.write_all(&get(stream, path)).await.is_err() {
        return false;
    }
    loop {
        match next(socket).await {
            Some((HEADERS, of, _)) if of == stream => break,
            Some(_) => {}
            None => return false,
        }
    }
    socket.write_all(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())).await.is_ok()
}

async fn node() -> Process {
    Process::start(json!({})).await
}

#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection() {
    let node = node().await;
    let mut honest = [node.subscribe().await];
    let mut socket = connect(&node).await;
    let flood: Vec<u8> = (0..10_000_u32)
        .flat_map(|n| [get(2 * n + 1, "/events"), frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat())
        .collect();
    let _ = socket.write_all(&flood).await;
    let goodbyes = all(&mut socket, GOAWAY).await;
    // ENHANCE_YOUR_CALM, unless the connection broke before it could be read.
    assert!(goodbyes.iter().all(|(_, payload)| payload[4..8] == 11_u32.to_be_bytes()), "{goodbyes:?}");
    node.still_serves(&mut honest, "after").await;
    let opened = node.metric("ssefleet_node_connections_opened_total").await;
    assert!(opened < 1_000, "{opened} of 10,000 streams were begun");
}

#[tokio::test]
async fn floods_that_ask_for_answers_are_held_back_and_cost_no_memory() {
    let node = node().await;
    let mut honest = [node.subscribe().await];
    let before = node.memory();
    let mut sockets = Vec::new();
    for flood in [frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]), frame(PING, 0, 0, &[7; 8])] {
        // 64 MiB, unless the node stops reading: nothing here reads the answers.
        let flood = flood.repeat(4_000);
        let mut socket = connect(&node).await;
        let flooding = async { while socket.write_all(&flood).await.is_ok() {} };
        assert!(timeout(std::time::Duration::from_secs(3), flooding).await.is_err() || node.memory() < before + 32);
        sockets.push(socket);
    }
    node.still_serves(&mut honest, "meanwhile").await;
    let grown = node.memory().saturating_sub(before);
    assert!(grown < 32, "{grown} MiB more");
}

#[tokio::test]
async fn a_head_without_end_is_not_collected() {
    let node = node().await;
    let mut socket = connect(&node).await;
    let before = node.memory();
    let mut sent = socket.write_all(&frame(HEADERS, END_STREAM, 1, &fields("/health"))).await.is_ok();
    let more = frame(CONTINUATION, 0, 1, &large_fields(15)[fields("/health").len()..]);
    let mut frames = 0;
    while sent && frames < 10_000 {
        sent = socket.write_all(&more).await.is_ok();
        frames += 1;
    }
    assert!(frames < 1_000, "{frames} frames of 15 KiB were taken");
    assert!(node.memory() < before + 32, "{} MiB more", node.memory() - before);
    // One that is whole, and too large by a little, is answered, and the connection goes on.
    let mut socket = connect(&node).await;
    let large = large_fields(35);
    let (first, rest) = large.split_at(16_000);
    let (second, third) = rest.split_at(16_000);
    let head = [
        frame(HEADERS, END_STREAM, 1, first),
        frame(CONTINUATION, 0, 1, second),
        frame(CONTINUATION, END_HEADERS, 1, third),
        get(3, "/health"),
    ];
    socket.write_all(&head.concat()).await.unwrap();
    let (mut refused, mut answered) = (false, false);
    while !(refused && answered) {
        match next(&mut socket).await.expect("the connection is over") {
            // `:status` 431 as a literal, 200 from the table.
            (HEADERS, 1, payload) => refused = payload.windows(3).any(|three| three == b"431") || payload[0] != 0x88,
            (RST_STREAM, 1, _) => refused = true,
            (HEADERS, 3, payload) => answered = payload[0] == 0x88,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_connection_has_so_many_streams_at_a_time_and_no_more() {
    let node = node().await;
    let mut socket = connect(&node).await;
    let streams: Vec<u8> = (0..300).flat_map(|n| get(2 * n + 1, "/events")).collect();
    socket.write_all(&streams).await.unwrap();
    let (mut begun, mut refused) = (0, 0);
    while begun + refused < 300 {
        match next(&mut socket).await.expect("the connection is over") {
            (HEADERS, ..) => begun += 1,
            // REFUSED_STREAM
            (RST_STREAM, _, code) if code == 7_u32.to_be_bytes() => refused += 1,
            _ => {}
        }
    }
    assert_eq!((begun, refused), (250, 50));
    assert_eq!(node.metric("ssefleet_node_connections").await, 250);
}
