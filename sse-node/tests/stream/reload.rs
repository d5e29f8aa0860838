//! The manifest changes while the node runs: connections stay, and what it says holds.

use std::{fs, sync::Arc};

use serde_json::{Value, json};
use sse_node::broker::{Retention, memory::Memory};

use crate::support::{Node, eventually, send, stream};

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
