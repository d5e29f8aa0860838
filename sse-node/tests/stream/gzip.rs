//! `compression.mode: Transport`: a gzip stream for those who accept it, of pieces that all share.

use std::sync::Arc;

use hyper::Version;
use serde_json::{Value, json};
use sse_node::{
    Stop,
    broker::{Retention, memory::Memory},
    http::tls::Tls,
};
use ssefleet_crds::Stream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    coded::Client,
    support::{Node, PATIENCE, eventually, stream},
    tls::{certify, connect},
};

fn transport(more: Value) -> Stream {
    let mut spec = json!({
        "fleet": {"replicas": 1}, "broker": {"memory": {}},
        "compression": {"mode": "Transport", "thresholdBytes": 100},
    });
    if let Value::Object(more) = more {
        spec.as_object_mut().unwrap().extend(more);
    }
    stream(&spec)
}

async fn node(more: Value) -> Node {
    Node::start(transport(more), Arc::new(Memory::new(Retention::of_events(10_000)))).await
}

/// Reads as many bytes as are expected.
async fn hear(socket: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(PATIENCE, socket.read_exact(&mut bytes)).await.expect("too few bytes").unwrap();
    bytes
}

/// Reads up to and including these bytes.
async fn hear_until(socket: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let hearing = async {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            bytes.extend(hear(socket, 1).await);
        }
        bytes
    };
    timeout(PATIENCE, hearing).await.expect("it does not come")
}

/// How a frame ends: an empty block, and the chunk's own line end.
const ENDS: &[u8] = b"\n\n\0\0\0\xff\xff\r\n";

/// The text of a frame from a word on.
fn text_from(frame: &[u8], word: &str) -> String {
    let text = String::from_utf8_lossy(&frame[..frame.len() - ENDS.len()]).into_owned();
    format!("{}\n\n", &text[text.find(word).unwrap()..])
}

/// A chunk of one stored block.
fn stored(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let head = format!("{:x}\r\n\0", length + 10);
    let flush = [0, 0, 0, 0xff, 0xff];
    [head.as_bytes(), &length.to_le_bytes(), &(!length).to_le_bytes(), text.as_bytes(), &flush, b"\r\n"].concat()
}

#[tokio::test]
async fn on_the_bare_socket_it_is_literally_this() {
    let mut node = node(json!({})).await;
    let mut socket = TcpStream::connect(node.public).await.unwrap();
    let request = "GET /events HTTP/1.1\r\nHost: node\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let head = String::from_utf8(hear_until(&mut socket, b"\r\n\r\n").await).unwrap();
    let (told, rest) = head.split_once("connection: close\r\n").unwrap();
    assert_eq!(
        told,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache, no-transform\r\n\
         x-accel-buffering: no\r\ncontent-encoding: gzip\r\nvary: accept-encoding\r\ntransfer-encoding: chunked\r\n",
        "{rest}"
    );
    assert_eq!(hear(&mut socket, 15).await, b"a\r\n\x1f\x8b\x08\0\0\0\0\0\0\xff\r\n");
    let mut text = text_from(&hear_until(&mut socket, ENDS).await, "retry: ");

    let id = node.publish(json!({"data": "hello"})).await.remove(0);
    let event = format!("id: {id}\ndata: hello\n\n");
    assert_eq!(hear(&mut socket, stored(&event).len()).await, stored(&event));
    text += &event;

    node.stop(Stop::Interrupted);
    text += &text_from(&hear_until(&mut socket, ENDS).await, "retry: ");
    let mut sum = flate2::Crc::new();
    sum.update(text.as_bytes());
    let (crc, length) = (sum.sum().to_le_bytes(), sum.amount().to_le_bytes());
    let end = [&b"a\r\n\x03\0"[..], &crc, &length, b"\r\n0\r\n\r\n"].concat();
    assert_eq!(hear(&mut socket, end.len()).await, end);
    assert_eq!(timeout(PATIENCE, socket.read(&mut [0])).await.unwrap().unwrap(), 0, "the last bytes, then the end");
}

/// By HTTP/1.1, 1.0 and 2, over TLS and not, packed and not.
#[tokio::test]
async fn clients_of_all_codings_get_the_same_events_each_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("tls.crt");
    certify(folder.path());
    let tls = Tls::load(certificate.clone(), folder.path().join("tls.key")).unwrap();
    let broker = Arc::new(Memory::new(Retention::of_events(100)));
    let mut encrypted = Node::start_with_tls(tls, transport(json!({})), broker.clone()).await;
    let mut plain = Node::start(transport(json!({})), broker).await;
    let tcp = async || TcpStream::connect(plain.public).await.unwrap();
    let mut clients = vec![
        Client::subscribe(tcp().await, Version::HTTP_11, "gzip").await,
        Client::subscribe(tcp().await, Version::HTTP_10, "gzip").await,
        Client::subscribe(tcp().await, Version::HTTP_2, "gzip").await,
        Client::subscribe(connect(&encrypted, &certificate, "http/1.1").await.unwrap(), Version::HTTP_11, "gzip").await,
        Client::subscribe(connect(&encrypted, &certificate, "h2").await.unwrap(), Version::HTTP_2, "gzip").await,
        Client::subscribe(tcp().await, Version::HTTP_11, "gzip;q=0, *").await,
        Client::subscribe(tcp().await, Version::HTTP_10, "identity").await,
        Client::subscribe(tcp().await, Version::HTTP_2, "br").await,
    ];
    for (n, client) in clients.iter().enumerate() {
        assert_eq!(client.header("content-encoding"), (n < 5).then_some("gzip"), "{n}");
        assert_eq!(client.header("vary"), Some("accept-encoding"));
    }
    // Small and large, each before the next is there: none is held back.
    let mut compressed = 0;
    for (n, data) in ["small".into(), "large ".repeat(2_000), "é\n".repeat(200), String::new()].iter().enumerate() {
        let id = plain.publish(json!({"event": format!("e{n}"), "data": data})).await.remove(0);
        if data.len() > 100 {
            let lines: usize = data.split('\n').map(|line| "data: \n".len() + line.len()).sum();
            compressed += format!("id: {id}\nevent: e{n}\n\n").len() + lines;
        }
        for client in &mut clients {
            let event = client.next().await;
            assert_eq!((event.event, &event.data), (format!("e{n}"), data));
        }
    }
    let before = plain.metric("ssefleet_node_compression_bytes_in_total{mode=\"Transport\"}").await;
    assert_eq!(before, compressed as u64, "once for all who want it");
    let after = plain.metric("ssefleet_node_compression_bytes_out_total{mode=\"Transport\"}").await;
    assert!(after > 0 && after * 10 < before, "{after} of {before}");
    assert!(clients[0].bytes.len() * 10 < clients[5].bytes.len(), "it is not smaller");
    plain.stop(Stop::Interrupted);
    encrypted.stop(Stop::Interrupted);
    let mut texts = Vec::new();
    for client in clients {
        let text = client.whole().await;
        // The greeting and the last words have a `retry:` of each one's own.
        let events = text.split("\n\n").filter(|block| block.contains("data: ")).collect::<Vec<_>>().join("\n\n");
        assert!(text.contains(": this node is about to stop"), "{text}");
        texts.push(events);
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "{texts:?}");
}

#[tokio::test]
async fn a_reader_that_was_blocked_gets_a_stream_without_a_fault() {
    let mut node = node(json!({"connections": {"maxLag": "10m"}})).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let socket = socket.connect(node.public).await.unwrap();
    let mut client = Client::subscribe(socket, Version::HTTP_11, "gzip").await;
    // Noise, so that it is as large as it can be, with something in it that can be made smaller.
    let noise = |n: u64| {
        let mut random = fastrand::Rng::with_seed(n);
        let text: String = (0..3_000).map(|_| random.alphanumeric()).collect();
        format!("{n}{}{text}", "-".repeat(500))
    };
    let lagging = async || node.get(node.admin, "/connections?lagging").await.1.contains("\"blocked\":true");
    let mut published = 0;
    while !lagging().await {
        let events: Vec<_> = (published..published + 100).map(|n| json!({"data": noise(n)})).collect();
        node.publish(json!(events)).await;
        published += 100;
        assert!(published < 10_000, "the socket never fills up");
    }
    node.publish(json!({"data": "the last"})).await;
    for n in 0..published {
        assert_eq!(client.next().await.data, noise(n));
    }
    assert_eq!(client.next().await.data, "the last");
    node.stop(Stop::Interrupted);
    assert!(client.whole().await.ends_with("reconnect to another\n\n"));
}

#[tokio::test]
async fn whoever_is_refused_or_only_asks_gets_no_stream_but_the_same_fields() {
    let node = node(json!({"connections": {"maxPerPod": 1}})).await;
    let tcp = async || TcpStream::connect(node.public).await.unwrap();
    let _first = Client::subscribe(tcp().await, Version::HTTP_11, "gzip").await;
    let ask = async |words: &str| {
        let mut socket = tcp().await;
        socket.write_all(words.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    };
    let rest = "HTTP/1.1\r\nHost: node\r\nConnection: close\r\nAccept-Encoding: gzip\r\n";
    let head = ask(&format!("HEAD /events {rest}\r\n")).await;
    assert!(head.contains("content-encoding: gzip\r\n") && head.contains("vary: accept-encoding\r\n"), "{head}");
    let event_source = "Accept: text/event-stream\r\nSec-Fetch-Mode: cors\r\n";
    let refused = ask(&format!("GET /events {rest}{event_source}\r\n")).await;
    assert!(refused.contains("200 OK") && refused.contains("retry: "), "{refused}");
    assert!(!refused.contains("content-encoding"), "{refused}");
    eventually("it is counted", async || {
        node.metric("ssefleet_node_connections_refused_total{reason=\"full\"}").await == 1
    })
    .await;
}
