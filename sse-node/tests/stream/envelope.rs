//! `compression.mode: Envelope`: data that clients unpack themselves, as `examples/envelope.mjs` does.

use std::{process::Stdio, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use sse_node::broker::{Retention, memory::Memory};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::support::{Node, PATIENCE, stream};

async fn node(threshold: u32) -> Node {
    let spec = json!({
        "fleet": {"replicas": 1}, "broker": {"memory": {}},
        "compression": {"mode": "Envelope", "thresholdBytes": threshold},
    });
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}

#[tokio::test]
async fn data_is_literally_this() {
    let node = node(10).await;
    let mut reader = node.subscribe("/events").await;
    let ids = node.publish(json!([{"data": "ten bytes!"}, {"event": "trade", "data": {"price": 12.5}}])).await;
    reader.data::<2>().await;
    let text = reader.raw.split_once("\n\n").unwrap().1;
    let (small, large) = text.split_once("\n\n").unwrap();
    assert_eq!(small, format!("id: {}\ndata: {{\"compressed\":false,\"data\":\"ten bytes!\"}}", ids[0]));
    let packed = large.strip_prefix(&format!("id: {}\nevent: trade\ndata: {{\"compressed\":true,\"data\":\"", ids[1]));
    let packed = packed.and_then(|rest| rest.strip_suffix("\"}\n\n")).unwrap_or_else(|| panic!("{large}"));
    let packed = STANDARD.decode(packed).unwrap();
    assert_eq!(std::io::read_to_string(MultiGzDecoder::new(&*packed)).unwrap(), r#"{"price":12.5}"#);
    // Who comes back gets it in the same form.
    let mut back = node.resume("/events", &ids[0]).await;
    assert!(back.next().await.data.starts_with("{\"compressed\":true,"));
    assert_eq!(node.metric("ssefleet_node_compression_bytes_in_total{mode=\"Envelope\"}").await, 14);
}

/// The very file that a page imports, in Node, which has DecompressionStream as browsers have.
#[tokio::test]
async fn the_example_for_browsers_unpacks_all_of_it_in_order() {
    let node = node(100).await;
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/envelope.mjs");
    // What a browser's EventSource would do; Node 20 has none.
    let script = r#"
        import { inOrder } from "EXAMPLE";
        const show = inOrder((data) => console.log(JSON.stringify(data)));
        const response = await fetch("URL");
        console.log("connected");
        let text = "";
        for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
            const blocks = (text + bytes).split("\n\n");
            text = blocks.pop();
            for (const block of blocks) {
                const data = block.split("\n").find((line) => line.startsWith("data: "));
                if (data) show({ data: data.slice(6) });
            }
        }
    "#;
    let script = script.replace("EXAMPLE", example).replace("URL", &format!("http://{}/events", node.public));
    let mut process = Command::new("node")
        .args(["--input-type=module", "--eval", &script])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Node 20 is needed to try what pages do");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut line = async || timeout(PATIENCE, lines.next_line()).await.expect("node says nothing").unwrap().unwrap();
    assert_eq!(line().await, "connected");
    // The large ones take longer to unpack than the small ones behind them.
    let large = "größe \u{1f980} \"x\"\r\n\t".repeat(5_000);
    let data = ["", "a\nb", &large, "é", &large[..150], &"[1,2]".repeat(50), "last"];
    node.publish(json!(data.map(|data| json!({"data": data})))).await;
    for data in data {
        assert_eq!(serde_json::from_str::<Value>(&line().await).unwrap(), data);
    }
}
