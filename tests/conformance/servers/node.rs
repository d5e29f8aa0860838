//! A node, by its program, as a user starts it.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use hyper::Method;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    PATIENCE, http,
    processes::{Process, free_address, repository},
};

pub struct Node {
    pub public: SocketAddr,
    pub publish: SocketAddr,
    pub admin: SocketAddr,
    process: Process,
}

/// What a node is given besides its manifest.
#[derive(Default)]
pub struct Extras<'a> {
    pub arguments: Vec<String>,
    /// Secrets as files, NAME/KEY.
    pub secrets: &'a [(&'a str, &'a str)],
}

impl Node {
    /// One with a memory broker, ready, whose stream is at /events.
    pub async fn start(spec: Value) -> Self {
        Self::start_with(spec, Extras::default()).await
    }

    pub async fn start_with(mut spec: Value, extras: Extras<'_>) -> Self {
        if spec.get("broker").is_none() {
            spec["broker"] = json!({"memory": {}});
        }
        spec["fleet"]["replicas"] = 1.into();
        let kind = json!({"apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream"});
        let mut manifest = kind;
        manifest["metadata"] = json!({"name": "conformance"});
        manifest["spec"] = spec;
        let [public, publish, admin] = [free_address(), free_address(), free_address()];
        let listens = [public, publish, admin];
        let process = Process::start("sse-node", &listens, |folder| {
            let file = folder.join("stream.yaml");
            fs::write(&file, manifest.to_string()).unwrap();
            for (secret, content) in extras.secrets {
                let secret = folder.join(secret);
                fs::create_dir_all(secret.parent().unwrap()).unwrap();
                fs::write(secret, content).unwrap();
            }
            let mut command = Command::new(program());
            command.arg("serve").arg(file).arg("--secrets-dir").arg(folder).args(extras.arguments);
            for (listener, address) in [("--public", public), ("--publish", publish), ("--admin", admin)] {
                command.args([listener, &address.to_string()]);
            }
            command
        });
        let node = Self { public, publish, admin, process: process.await };
        node.until("ready", async || node.admin(Method::GET, "/readyz").await.0 == 200).await;
        node
    }

    /// Asks the node again and again until something holds.
    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let asking = async {
            while !holds().await {
                sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(PATIENCE, asking).await.is_ok(), "the node is still not: {what}; {}", self.process.log());
    }

    pub fn url(&self) -> String {
        format!("http://{}/events", self.public)
    }

    /// Events, as POST /publish takes them.
    pub async fn publish(&self, events: &Value) {
        let json = [("content-type", "application/json")];
        let (status, body) =
            http::ask(self.publish, Method::POST, "/publish", &json, events.to_string()).await.unwrap();
        assert_eq!(status, 200, "{body}");
    }

    async fn admin(&self, method: Method, path: &str) -> (u16, String) {
        http::ask(self.admin, method, path, &[], String::new()).await.unwrap()
    }

    /// Asks it to stop.
    pub async fn drain(&self) {
        assert_eq!(self.admin(Method::POST, "/drain").await.0, 202);
    }

    /// How often it has refused subscribers for this reason.
    pub async fn refused(&self, reason: &str) -> u64 {
        let (_, metrics) = self.admin(Method::GET, "/metrics").await;
        let name = format!("ssefleet_node_connections_refused_total{{reason=\"{reason}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until it has refused one for this reason.
    pub async fn has_refused(&self, reason: &str) {
        self.until(reason, async || self.refused(reason).await > 0).await;
    }

    /// Waits until it accepts no more connections.
    pub async fn is_closed(&self) {
        self.until("closed", async || TcpStream::connect(self.public).await.is_err()).await;
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// The program, of this tree: built now, unless `tests/run` has built it.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Ok(program) = std::env::var("SSEFLEET_SSE_NODE") {
            return program.into();
        }
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--message-format=json", "--package=sse-node", "--bin=sse-node"]);
        let output = cargo.current_dir(repository()).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "cargo can't build sse-node");
        let said = String::from_utf8(output.stdout).unwrap();
        let messages = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let program = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
        program.expect("cargo says where sse-node is")
    })
}
