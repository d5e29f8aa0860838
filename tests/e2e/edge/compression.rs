//! Compression through the ingress: gzip that nothing on the way holds back, and the envelope for clients that unpack it.

use std::io::{Read, Write};

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use flate2::{read, write};
use serde_json::{Value, json};
use ssefleet_tests::{Must, ask::Ask, cluster, sse::parser::Parser};

use super::one_node;

#[tokio::test]
async fn gzip_arrives_event_by_event_through_the_ingress() {
    let cluster = cluster().await;
    let here = cluster.namespace("gzip").await;
    let stream = here.apply(one_node(&json!({"compression": {"mode": "Transport", "thresholdBytes": 256}}))).await;
    stream.ready().await;
    let mut plain = stream.subscribe_at("/events").await;
    let mut gzip = stream.ask(&Ask::get("/events").header("accept-encoding", "gzip")).await;
    assert_eq!(gzip.header("content-encoding").as_deref(), Some("gzip"));
    assert!(gzip.header("vary").is_some_and(|vary| vary.to_lowercase().contains("accept-encoding")));

    let mut publisher = stream.publisher();
    let (mut unpacked, mut parser, mut bytes) = (write::GzDecoder::new(Vec::new()), Parser::new(""), 0);
    for number in 0..10 {
        let data = format!("{number} {}", "the same again and again, ".repeat(if number % 2 == 0 { 40 } else { 1 }));
        publisher.publish(&json!({"data": data})).await.must("publish");
        // The next event is published only when this one is here.
        let event = loop {
            let more = gzip.bytes().await;
            bytes += more.len();
            unpacked.write_all(&more).must("unpack");
            unpacked.flush().must("unpack");
            let text: Vec<u8> = std::mem::take(unpacked.get_mut());
            if let Some(event) = parser.feed(&text).pop() {
                break event;
            }
        };
        assert_eq!(event.data, data);
        assert_eq!(plain.next().await.event, event, "who accepts no gzip gets the same as it is");
    }
    assert!(bytes < 2500, "{bytes} bytes for ten events, half of them of 1 KiB");
}

#[tokio::test]
async fn an_envelope_holds_what_was_published() {
    let cluster = cluster().await;
    let here = cluster.namespace("envelope").await;
    let stream = here.apply(one_node(&json!({"compression": {"mode": "Envelope", "thresholdBytes": 256}}))).await;
    stream.ready().await;
    let mut reader = stream.subscribe_at("/events").await;
    for times in [1, 100] {
        let published = json!({"symbol": "ACME", "note": "bid ".repeat(times)});
        stream.publisher().publish(&json!({"data": published})).await.must("publish");
        let envelope: Value = serde_json::from_str(&reader.next().await.event.data).must("read the envelope");
        assert_eq!(envelope["compressed"], times > 1);
        let data = envelope["data"].as_str().must("read the envelope's data");
        let text = if times > 1 {
            let mut text = String::new();
            let packed = BASE64.decode(data).must("decode base64");
            read::GzDecoder::new(&*packed).read_to_string(&mut text).must("unpack");
            assert!(data.len() < text.len() / 2, "{} bytes became {}", text.len(), data.len());
            text
        } else {
            data.to_owned()
        };
        assert_eq!(serde_json::from_str::<Value>(&text).must("read the data"), published);
    }
}
