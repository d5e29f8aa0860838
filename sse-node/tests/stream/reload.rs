//! The manifest changes while the node runs: connections stay, and what it says holds.

use std::{fs, sync::Arc};

use serde_json::{Value, json};
use sse_node::broker::{Retention, memory::Memory};

use crate::{
    coded::Client,
    support::{Node, eventually, send, stream},
};

struct Manifest(tempfile::TempDir);

impl Manifest {
    fn write(&self, spec: &Value) {
        let object = json!({"apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream", "metadata": {"name": "quotes"}, "spec": spec});
        // As a kubelet does it: the new one takes the place of the old one at once.
        fs::write(self.0.path().join("new"), object.to_string()).unwrap();
        fs::rename(self.0.path().join("new"), self.path()).unwrap();
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("stream.yaml")
    }
}

async fn configuration(node: &Node) -> Value {
    let (_, stats) = node.get(node.admin, "/stats").await;
    serde_json::from_str::<Value>(&stats).unwrap()["configuration"].take()
}

fn spec(max_per_pod: u32, path: &str) -> Value {
    json!({
        "path": path, "fleet": {"replicas": 1}, "broker": {"memory": {}},
        "connections": {"maxPerPod": max_per_pod}, "history": {"maxEventBytes": 10 * max_per_pod},
    })
}

/// A node for one subscriber at /events, and its manifest.
async fn begin() -> (Manifest, Node) {
    let manifest = Manifest(tempfile::tempdir().unwrap());
    let first = spec(1, "/events");
    manifest.write(&first);
    let broker = Memory::new(Retention::of_events(100));
    let node = Node::start_from(manifest.path(), stream(&first), Arc::new(broker)).await;
    (manifest, node)
}

#[tokio::test]
async fn limits_and_paths_change_and_nobody_is_disconnected() {
    let (manifest, node) = begin().await;
    let mut reader = node.subscribe("/events").await;
    let full = || hyper::Request::get("/events").header("host", "node").body(http_body_util::Full::default()).unwrap();
    assert_eq!(send(node.public, full()).await.status(), 503);
    assert_eq!(node.post("/publish", None, "0123456789 more").await.0, 413);

    let loaded = configuration(&node).await["loaded"].clone();
    manifest.write(&spec(2, "/news"));
    eventually("the new manifest is loaded", async || configuration(&node).await["loaded"] != loaded).await;
    assert_eq!(send(node.public, full()).await.status(), 404);
    let mut second = node.subscribe("/news").await;
    assert_eq!(node.post("/publish", None, "0123456789 more").await.0, 200);
    for reader in [&mut reader, &mut second] {
        assert_eq!(reader.data().await, ["0123456789 more"]);
    }
    assert_eq!(configuration(&node).await["needsRestart"], json!([]));
}

#[tokio::test]
async fn what_cannot_change_is_told_and_a_bad_manifest_changes_nothing() {
    let (manifest, node) = begin().await;
    let mut reader = node.subscribe("/events").await;

    manifest.write(&json!({"path": "events"}));
    eventually("the bad manifest is told of", async || configuration(&node).await["error"] != Value::Null).await;
    let told = configuration(&node).await["error"].to_string();
    assert!(told.contains("path must begin with '/'"), "{told}");

    manifest.write(&json!({"broker": {"redis": {"external": {"url": "redis://elsewhere:6379"}}}}));
    let fields = json!(["spec.broker", "spec.broker.redis.broadcastChannel"]);
    eventually("a restart is asked for", async || configuration(&node).await["needsRestart"] == fields).await;
    node.publish(json!({"data": "still here"})).await;
    assert_eq!(reader.data().await, ["still here"]);
}

#[tokio::test]
async fn another_form_of_data_holds_for_all_that_is_sent_from_then_on() {
    let with = |compression: Value| {
        let mut spec = spec(100, "/events");
        spec["history"] = json!({"maxEventBytes": 1000});
        spec["compression"] = compression;
        spec
    };
    let manifest = Manifest(tempfile::tempdir().unwrap());
    let transport = with(json!({"mode": "Transport", "thresholdBytes": 20}));
    manifest.write(&transport);
    let broker = Arc::new(Memory::new(Retention::of_events(1000)));
    let mut node = Node::start_from(manifest.path(), stream(&transport), broker).await;
    let change = async |node: &Node, spec: Value| {
        let loaded = configuration(node).await["loaded"].clone();
        manifest.write(&spec);
        eventually("the new manifest is loaded", async || configuration(node).await["loaded"] != loaded).await;
    };
    let mut plain = node.subscribe("/events").await;
    let socket = tokio::net::TcpStream::connect(node.public).await.unwrap();
    let mut gzip = Client::subscribe(socket, hyper::Version::HTTP_11, "gzip").await;
    let large = "large ".repeat(100);
    let mut ids = Vec::new();
    // 300, so that there are pages that are kept, and some that only the ring has.
    for _ in 0..3 {
        ids.extend(node.publish(json!(vec![json!({"data": large}); 100])).await);
    }
    for _ in 0..300 {
        assert_eq!((plain.next().await.data, gzip.next().await.data), (large.clone(), large.clone()));
    }

    // An envelope: also of what was published before, for whoever comes back; and of what comes next.
    change(&node, with(json!({"mode": "Envelope", "thresholdBytes": 20}))).await;
    let mut back = node.resume("/events", &ids[0]).await;
    for _ in 1..300 {
        assert!(back.next().await.data.starts_with("{\"compressed\":true,"));
    }
    node.publish(json!({"data": "small"})).await;
    let small = r#"{"compressed":false,"data":"small"}"#;
    assert_eq!((back.next().await.data, plain.next().await.data), (small.into(), small.into()));
    // Whoever was told gzip gets gzip to the end.
    assert_eq!(gzip.next().await.data, small);

    // And back: nothing is left that looks as it did in between.
    change(&node, with(json!({"mode": "Off"}))).await;
    let mut back = node.resume("/events", &ids[0]).await;
    for _ in 1..300 {
        assert_eq!(back.next().await.data, large);
    }
    assert_eq!(back.next().await.data, "small");
    node.publish(json!({"data": large})).await;
    assert_eq!(gzip.next().await.data, large);
    node.stop(sse_node::Stop::Interrupted);
    gzip.whole().await;
}
