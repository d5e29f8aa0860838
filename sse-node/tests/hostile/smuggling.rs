//! Requests of which a proxy in front may see the end elsewhere than we do. The node reads each as one request or
//! as none, and its two ways to read a head agree.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use sse_node::broker::{Retention, memory::Memory};

use crate::{
    by_hyper::read_alike,
    support::{Node, stream},
    wire::{hear, hear_out, say, statuses},
};

async fn node() -> Node {
    let spec = json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}});
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}

/// What a proxy may take for the body of the request before it.
const SMUGGLED: &str = "POST /publish?topic=smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\ns";
/// A request of its own, and the last of its connection.
const LAST: &str = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn post(fields: &str, rest: &str) -> String {
    format!("POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n{fields}\r\n{rest}")
}

#[tokio::test]
async fn a_request_is_never_two() {
    let node = node().await;
    let mut reader = node.subscribe("/events").await;
    let chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let length = SMUGGLED.len();
    let whole = format!("{SMUGGLED}{LAST}");
    // The statuses that are answered: after one that is doubtful, nothing more is.
    let shapes: Vec<(&str, String, &[u16])> = vec![
        ("CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{whole}")), &[200]),
        ("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", &format!("{chunk}{LAST}")), &[200]),
        (
            "TE, then another",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", &format!("0\r\n\r\n{whole}")),
            &[400],
        ),
        (
            "TE twice",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{whole}")),
            &[501],
        ),
        ("TE of two codings", post("Transfer-Encoding: gzip, chunked\r\n", &format!("0\r\n\r\n{whole}")), &[501]),
        ("TE unknown", post("Transfer-Encoding: xchunked\r\n", &format!("0\r\n\r\n{whole}")), &[400]),
        ("TE in quotes", post("Transfer-Encoding: \"chunked\"\r\n", &format!("0\r\n\r\n{whole}")), &[400]),
        ("TE after a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", &format!("0\r\n\r\n{whole}")), &[400]),
        ("TE, space before the colon", post("Transfer-Encoding : chunked\r\n", &format!("0\r\n\r\n{whole}")), &[400]),
        ("TE on a folded line", post("Transfer-Encoding:\r\n chunked\r\n", &format!("0\r\n\r\n{whole}")), &[400]),
        (
            "TE that begins with a line feed",
            post("X: x\nTransfer-Encoding: chunked\r\n", &format!("{chunk}{LAST}")),
            &[200, 404],
        ),
        (
            "TE of HTTP/1.0",
            post("Transfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{whole}")).replacen("1.1", "1.0", 1),
            &[400],
        ),
        ("CL twice", post(&format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), &whole), &[400]),
        ("CL of two", post(&format!("Content-Length: 0, {length}\r\n"), &whole), &[400]),
        ("CL with a sign", post(&format!("Content-Length: +{length}\r\n"), &whole), &[400]),
        ("CL below nothing", post("Content-Length: -1\r\n", &whole), &[400]),
        ("CL in hexadecimal", post(&format!("Content-Length: 0x{length:x}\r\n"), &whole), &[400]),
        ("CL too large", post("Content-Length: 18446744073709551616\r\n", &whole), &[400]),
        ("CL, space before the colon", post(&format!("Content-Length : {length}\r\n"), &whole), &[400]),
        ("CL with NUL", post(&format!("Content-Length: {length}\0\r\n"), &whole), &[400]),
        ("a field with CR", post("X: a\rTransfer-Encoding: chunked\r\n", &whole), &[400]),
        (
            "a chunk of a size without end",
            post("Transfer-Encoding: chunked\r\n", &format!("fffffffffffffffff\r\n{whole}")),
            &[400],
        ),
        (
            "a chunk in hexadecimal with 0x",
            post("Transfer-Encoding: chunked\r\n", &format!("0x5\r\nhello\r\n0\r\n\r\n{whole}")),
            &[400],
        ),
        (
            "a chunk longer than said",
            post("Transfer-Encoding: chunked\r\n", &format!("1\r\nhello\r\n0\r\n\r\n{whole}")),
            &[400],
        ),
        (
            "a chunk's extension",
            post("Transfer-Encoding: chunked\r\n", &format!("5;a=\"b\"\r\nhello\r\n0\r\n\r\n{LAST}")),
            &[200, 404],
        ),
        (
            "a chunk's extension with a line feed",
            post("Transfer-Encoding: chunked\r\n", &format!("5;a\nhello\r\n0\r\n\r\n{whole}")),
            &[400],
        ),
        ("another version", SMUGGLED.replace("HTTP/1.1", "HTTP/1.2"), &[400]),
        ("no version", "POST /publish\r\n\r\n".into(), &[400]),
        ("a target with a space", format!("POST /publish?a b HTTP/1.1\r\nHost: x\r\n\r\n{whole}"), &[400]),
        ("a target with NUL", format!("POST /publish?a\0b HTTP/1.1\r\nHost: x\r\n\r\n{whole}"), &[400]),
        (
            "an absolute target",
            format!("POST http://y/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello{LAST}"),
            &[200, 404],
        ),
        ("no Host", format!("GET /health HTTP/1.1\r\n\r\n{LAST}"), &[400, 404]),
        ("two Hosts", format!("GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n{LAST}"), &[400, 404]),
        ("line feeds alone", format!("GET / HTTP/1.1\nHost: x\n\n{LAST}"), &[404, 404]),
    ];
    for (name, bytes, expected) in shapes {
        let told = hear_out(&mut say(node.publish, bytes).await).await;
        assert_eq!(statuses(&told), expected, "{name}: {told}");
    }
    node.publish(json!({"data": "the end"})).await;
    loop {
        let event = reader.next().await;
        assert_ne!(event.data, "s", "a body was taken for a request");
        if event.data == "the end" {
            break;
        }
    }
}

#[tokio::test]
async fn what_stands_behind_a_subscription_is_never_answered() {
    let node = node().await;
    let second = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    for fields in ["", &format!("Content-Length: {}\r\n", second.len())] {
        // At once, and once the stream has begun.
        let mut at_once = say(node.public, format!("GET /events HTTP/1.1\r\nHost: x\r\n{fields}\r\n{second}")).await;
        let mut later = say(node.public, format!("GET /events HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).await;
        hear(&mut later, "retry: ").await;
        tokio::io::AsyncWriteExt::write_all(&mut later, second.as_bytes()).await.unwrap();
        for (n, socket) in [&mut at_once, &mut later].into_iter().enumerate() {
            if n == 0 {
                hear(socket, "retry: ").await;
            }
            let word = fastrand::u64(..).to_string();
            node.publish(json!({"data": word})).await;
            let told = hear(socket, &format!("data: {word}\n")).await;
            assert!(!told.contains("HTTP/1.1"), "{told}");
        }
    }
}

#[tokio::test]
async fn what_is_too_large_is_told_so() {
    let node = node().await;
    let get =
        |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    let answer = async |bytes: String| statuses(&hear_out(&mut say(node.public, bytes).await).await);
    let long = "x".repeat(16 << 10);
    assert_eq!(answer(get(&format!("/health?{}", &long[100..]), "")).await, [200]);
    assert_eq!(answer(get(&format!("/health?{long}"), "")).await, [414]);
    assert_eq!(answer(get(&format!("/events?{long}"), "")).await, [414]);
    assert_eq!(answer(get("/health", &"A: b\r\n".repeat(90))).await, [200]);
    assert_eq!(answer(get("/health", &"A: b\r\n".repeat(100))).await, [431]);
    assert_eq!(answer(get("/health", &format!("A: {long}\r\n").repeat(2))).await, [431]);
    let topics = |n| "topic=a&".repeat(n);
    assert_eq!(answer(get(&format!("/events?{}", topics(101)), "")).await, [400]);
    assert_eq!(node.metric("ssefleet_node_http_refused_total{reason=\"target\"}").await, 2);
}

/// Heads that are nearly good.
fn head() -> impl Strategy<Value = String> {
    let method = prop_oneof![8 => Just("GET"), 1 => Just("get"), 1 => Just("POST")];
    let target = prop_oneof![
        "/events(\\?[a-z&=%#\"<>{}|\\\\^`\u{7f}é/?*+.~-]{0,12})?",
        "(http://x|//x|\\*|)/?[a-z]{0,3}[#?]?[a-z]{0,3}",
    ];
    let name = prop_oneof![
        4 => prop::sample::select(vec!["Host", "Accept", "Last-Event-ID", "Sec-Fetch-Mode", "Authorization", "Cookie", "X"]),
        1 => prop::sample::select(vec!["Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "Connection", " X", "X ", "H\u{e9}", ""]),
    ];
    let value = "[ \ta-z0-9:,;=\u{e9}\u{0}\r\n-]{0,10}";
    let end = prop_oneof![6 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
    let field =
        (name, prop_oneof![6 => Just(": "), 1 => Just(":"), 1 => Just(" : "), 1 => Just("")], value, end.clone());
    let fields = prop::collection::vec(field, 0..5).prop_map(|fields| {
        fields.into_iter().flat_map(|(n, c, v, e)| [n.into(), c.into(), v, e.into()]).collect::<String>()
    });
    let version = prop_oneof![6 => Just(" HTTP/1.1"), 2 => Just(" HTTP/1.0"), 1 => Just(""), 1 => Just("  HTTP/1.1")];
    let rest = prop_oneof![8 => Just(""), 1 => Just("x"), 1 => Just("GET / HTTP/1.1\r\n\r\n"), 1 => Just("\r\n")];
    let host = prop_oneof![4 => Just("Host: x\r\n"), 1 => Just("")];
    (method, target, version, end, host, fields, rest).prop_map(|(method, target, version, end, host, fields, rest)| {
        format!("{method} {target}{version}{end}{host}{fields}\r\n{rest}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever the bare socket takes over, hyper reads alike: path, query, every field, and no body.
    #[test]
    fn both_ways_to_read_a_head_agree(head in head(), odd in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)) {
        read_alike(head.as_bytes());
        let mut bytes = head.into_bytes();
        for (index, byte) in odd {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        read_alike(&bytes);
    }
}

#[test]
fn the_bare_socket_takes_what_clients_send() {
    for head in [
        "GET /events?topic=a%20b&topic=c* HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: a-1\r\n\r\n",
        "GET /events HTTP/1.0\r\n\r\n",
        "GET /events HTTP/1.1\nHost: x\n\n",
        "GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: \u{e9}\r\n\r\n",
    ] {
        assert!(read_alike(head.as_bytes()), "{head}");
    }
}

/// Over the socket, too: what is asked first goes by the bare socket, what is asked second by hyper.
#[tokio::test]
async fn a_subscription_is_the_same_by_either_way() {
    let node = node().await;
    let ids = node.publish(json!([{"data": 1}, {"data": 2}, {"topic": "b", "data": 3}])).await;
    for (query, fields) in [
        ("", String::new()),
        ("?topic=default", format!("Last-Event-ID: {}\r\n", ids[0])),
        ("?topic=b", format!("Last-Event-ID: {}\r\n", ids[0])),
        ("?lastEventId=nonsense", String::new()),
        ("", "Last-Event-ID: \u{e9}\r\n".into()),
        (&*format!("?lastEventId={}", ids[0]), "Last-Event-ID:\r\n".into()),
        (&*format!("?lastEventId={}&topic=%62", ids[0]), String::new()),
    ] {
        let request = format!("GET /events{query} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let mut first = say(node.public, &request).await;
        let mut second = say(node.public, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
        hear(&mut second, "\r\n\r\nok\n").await;
        tokio::io::AsyncWriteExt::write_all(&mut second, request.as_bytes()).await.unwrap();
        let mut told = Vec::new();
        for socket in [&mut first, &mut second] {
            let word = format!("end of {query}");
            let topic = if query.contains("topic=b") || query.contains("%62") { "b" } else { "default" };
            let mut heard = hear(socket, "retry: ").await;
            node.publish(json!({"topic": topic, "data": &word})).await;
            heard += &hear(socket, &format!("data: {word}\n")).await;
            let lines = heard.lines().filter(|line| line.starts_with("data: ") || line.starts_with("event: "));
            let lines: Vec<_> = lines.take_while(|line| *line != format!("data: {word}")).map(str::to_owned).collect();
            told.push(lines);
        }
        assert_eq!(told[0], told[1], "{request}");
    }
}
