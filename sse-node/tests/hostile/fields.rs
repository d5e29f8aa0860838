//! Line ends, NUL and what is no UTF-8 in everything that a publisher or a subscriber can set: no stream ever holds
//! a line that a publisher did not publish as data.

use std::sync::Arc;

use serde_json::json;
use sse_node::broker::{Retention, memory::Memory};

use crate::{
    support::{Node, stream},
    wire::{hear, hear_out, say, statuses},
};

async fn node() -> Node {
    let spec = json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}});
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}

/// The status of a publication.
async fn publish(node: &Node, query: &str, fields: &[u8], body: &[u8]) -> u16 {
    let head =
        format!("POST /publish{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    let told = hear_out(&mut say(node.publish, [head.as_bytes(), fields, b"\r\n", body].concat()).await).await;
    let statuses = statuses(&told);
    assert_eq!(statuses.len(), 1, "{told}");
    statuses[0]
}

#[tokio::test]
async fn no_field_of_a_publication_begins_a_line_of_its_own() {
    let node = node().await;
    let mut reader = node.subscribe("/events").await;
    let text = b"Content-Type: text/plain\r\n";
    let json = b"Content-Type: application/json\r\n";
    for (escaped, in_json) in [("%0A", "\\n"), ("%0D", "\\r"), ("%0d%0a", "\\r\\n"), ("%00", "\\u0000")] {
        for name in ["topic", "event", "ttl"] {
            let query = format!("?{name}=a{escaped}data:%20forged{escaped}{escaped}");
            assert_eq!(publish(&node, &query, text, b"forged").await, 400, "{query}");
            let body = format!("{{\"data\":1,\"{name}\":\"a{in_json}data: forged{in_json}{in_json}\"}}");
            assert_eq!(publish(&node, "", json, body.as_bytes()).await, 400, "{body}");
            let lines = b"Content-Type: application/x-ndjson\r\n";
            assert_eq!(publish(&node, "", lines, body.as_bytes()).await, 400, "{body}");
        }
        let event = |field: &str, value: &str| {
            let mut fields = String::new();
            for (name, usual) in
                [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t"), ("subject", "s")]
            {
                let value = if name == field { value } else { usual };
                fields.extend(["ce-", name, ": ", value, "\r\n"]);
            }
            fields
        };
        for field in ["specversion", "type", "subject"] {
            let fields = event(field, &format!("a{escaped}data: forged{escaped}{escaped}"));
            assert_eq!(publish(&node, "", fields.as_bytes(), b"x").await, 400, "{fields}");
        }
    }
    // Bytes that no field of HTTP may have, and those that are no UTF-8.
    for byte in [b'\0', b'\r', 0x7f, 0x80, 0xff] {
        let status =
            publish(&node, "", &[b"Idempotency-Key: k", &[byte][..], b"\r\n"].concat(), b"{\"data\":\"forged\"}").await;
        assert_eq!(status, 400, "{byte}");
        let fields =
            [&b"ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t"[..], &[byte], b"\r\n"].concat();
        assert_eq!(publish(&node, "", &fields, b"forged").await, 400, "{byte}");
    }
    for fields in [
        &text[..],
        json,
        b"Content-Type: application/x-ndjson\r\n",
        b"",
        b"Content-Type: application/cloudevents+json\r\n",
    ] {
        assert_eq!(publish(&node, "", fields, b"{\"data\":\"\xff\"}").await, 400);
        assert_eq!(publish(&node, "", fields, b"{\"data\":\"\0\"}").await, 400);
    }
    // Found by fuzzing: the handler broke off without an answer.
    for ttl in [&format!("{}s", "7".repeat(60)), "1s-1s", "NaNs", "%2B-1s"] {
        assert_eq!(publish(&node, &format!("?ttl={ttl}"), text, b"forged").await, 400, "{ttl}");
    }
    let key = format!("Idempotency-Key: {}\r\n", "k".repeat(256));
    assert_eq!(publish(&node, "", key.as_bytes(), b"{\"data\":\"forged\"}").await, 400);
    // Line ends in data are line ends.
    assert_eq!(publish(&node, "?topic=a", text, b"one\r\nid: forged\rdata: two\n\nevent: forged").await, 200);
    node.publish(json!({"data": "the end"})).await;
    let event = reader.next().await;
    assert_eq!((&*event.event, &*event.data), ("message", "one\nid: forged\ndata: two\n\nevent: forged"));
    assert_ne!(event.id, "forged");
    assert_eq!(reader.data().await, ["the end"]);
    let odd = reader.raw.lines().find(|line| line.contains("forged") && !line.starts_with("data: "));
    assert_eq!(odd, None, "{}", reader.raw);
}

#[tokio::test]
async fn nothing_that_a_subscriber_says_comes_back_as_a_line() {
    let node = node().await;
    let id = node.publish(json!({"data": "before"})).await.remove(0);
    for escaped in ["%0A", "%0D", "%0d%0a", "%00"] {
        let request =
            format!("GET /events?topic=a{escaped}data:forged HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_eq!(statuses(&hear_out(&mut say(node.public, request).await).await), [400]);
    }
    let many = "9".repeat(10_000);
    let forged = "%0d%0a%0d%0adata:forged%0a%0a";
    for (query, field, is_foreign) in [
        (format!("?lastEventId={id}{forged}"), String::new(), true),
        (format!("?lastEventId={forged}"), String::new(), true),
        (format!("?lastEventId={id}%00"), String::new(), true),
        (format!("?lastEventId={id}{many}"), String::new(), true),
        (String::new(), format!("Last-Event-ID: {id}{many}\r\n"), true),
        (String::new(), format!("Last-Event-ID: {many}-{many}\r\n"), true),
        (String::new(), "Last-Event-ID: \u{e9}\r\n".into(), true),
        (String::new(), "Last-Event-ID: 0-0\r\n".into(), true),
        (String::new(), "Last-Event-ID: 3w5e11264sgsf-18446744073709551615\r\n".into(), true),
        (String::new(), "Last-Event-ID: \r\n".into(), false),
        (format!("?{forged}={forged}&forged"), format!("X: {many}\r\n"), false),
    ] {
        let request = format!("GET /events{query} HTTP/1.1\r\nHost: x\r\n{field}\r\n");
        let mut socket = say(node.public, &request).await;
        let mut told = hear(&mut socket, "retry: ").await;
        let word = fastrand::u64(..).to_string();
        node.publish(json!({"data": word})).await;
        told += &hear(&mut socket, &format!("data: {word}\n")).await;
        assert!(!told.contains("forged") && told.is_ascii(), "{request}: {told}");
        assert_eq!(told.contains("event: reset\n"), is_foreign, "{request}: {told}");
    }
    // No UTF-8 at all: not an id of ours either, but to be served.
    for byte in [0x80, 0xff] {
        let head =
            [&b"GET /events?topic=%FF HTTP/1.1\r\nHost: x\r\nLast-Event-ID: "[..], &[byte], b"\r\n\r\n"].concat();
        hear(&mut say(node.public, head).await, "retry: ").await;
    }
}
