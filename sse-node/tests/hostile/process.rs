//! A node as a process of its own, so that its memory can be told from that of the test.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    support::PATIENCE,
    wire::{hear, hear_out, say},
};

/// It ends with the test.
pub struct Process {
    child: Child,
    pub public: SocketAddr,
    pub publish: SocketAddr,
    admin: SocketAddr,
    _manifest: tempfile::NamedTempFile,
}

impl Process {
    pub async fn start(connections: Value) -> Self {
        let manifest = tempfile::NamedTempFile::new().unwrap();
        let spec = json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}, "connections": connections});
        let object = json!({"apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream", "metadata": {"name": "a"}, "spec": spec});
        std::fs::write(manifest.path(), object.to_string()).unwrap();
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [public, publish, admin] = listeners.map(|listener| listener.local_addr().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_sse-node"))
            .arg("serve")
            .arg(manifest.path())
            .args(["--public", &public.to_string(), "--publish", &publish.to_string(), "--admin", &admin.to_string()])
            .env("RUST_LOG", "error")
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let process = Self { child, public, publish, admin, _manifest: manifest };
        let ready = async {
            loop {
                if TcpStream::connect(admin).await.is_ok() && process.get("/readyz").await.contains(" 200 ") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, ready).await.expect("the node never got ready");
        process
    }

    async fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
        hear_out(&mut say(self.admin, request).await).await
    }

    /// A figure of `/metrics`; 0 if there is none yet.
    pub async fn metric(&self, name: &str) -> u64 {
        let metrics = self.get("/metrics").await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Connections ended and requests refused unheard.
    pub async fn refused(&self, reason: &str) -> u64 {
        self.metric(&format!("ssefleet_node_http_refused_total{{reason=\"{reason}\"}}")).await
    }

    /// Resident memory, MiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// A subscriber, once its stream has begun.
    pub async fn subscribe(&self) -> TcpStream {
        let mut socket = say(self.public, "GET /events HTTP/1.1\r\nHost: node\r\n\r\n").await;
        hear(&mut socket, "retry: ").await;
        socket
    }

    pub async fn publish(&self, data: &str) {
        let body = json!({"data": data}).to_string();
        let head =
            format!("POST /publish HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Length: {}", body.len());
        let told = hear_out(&mut say(self.publish, format!("{head}\r\n\r\n{body}")).await).await;
        assert!(told.contains(" 200 "), "{told}");
    }

    /// Those who are subscribed get what is published, and so does one who comes now.
    pub async fn still_serves(&self, readers: &mut [TcpStream], word: &str) {
        let mut newcomer = self.subscribe().await;
        self.publish(word).await;
        hear(&mut newcomer, &format!("data: {word}\n")).await;
        for reader in readers {
            hear(reader, &format!("data: {word}\n")).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
