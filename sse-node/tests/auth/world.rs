//! A node with Secrets, and a client that writes its requests out.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use serde_json::{Value, json};
use sse_node::{
    Setup,
    broker::{Broker, Retention, memory::Memory},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{self, Node, PATIENCE, stream};

/// A shared secret that is long enough.
pub const SECRET: &[u8] = b"a shared secret of thirty-two bytes";

/// Secrets as files.
pub struct Secrets(TempDir);

impl Secrets {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn folder(&self) -> PathBuf {
        self.0.path().into()
    }

    /// As a kubelet does it: the new content takes the place of the old one at once.
    pub fn write(&self, name: &str, key: &str, content: impl AsRef<[u8]>) {
        let folder = self.0.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("new"), content).unwrap();
        fs::rename(folder.join("new"), folder.join(key)).unwrap();
    }

    pub fn remove(&self, name: &str, key: &str) {
        fs::remove_file(self.0.path().join(name).join(key)).unwrap();
    }
}

/// The stream of a `spec.auth`.
pub fn spec(auth: &Value) -> Value {
    json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}, "auth": auth})
}

pub fn memory() -> Arc<dyn Broker> {
    Arc::new(Memory::new(Retention::of_events(100)))
}

/// A node with this `spec.auth`.
pub async fn node(auth: &Value, secrets: &Secrets) -> Node {
    Node::start_as(setup(auth, secrets, memory())).await
}

pub fn setup(auth: &Value, secrets: &Secrets, broker: Arc<dyn Broker>) -> Setup {
    Setup { secrets: secrets.folder(), ..support::setup(stream(&spec(auth)), broker) }
}

/// `spec.auth` with one shared secret, in the Secret `jwt`.
pub fn shared() -> Value {
    json!({"jwt": {"keys": [{"secretRef": {"name": "jwt", "key": "secret"}}], "algorithms": ["HS256"]}})
}

/// A node that takes tokens signed with [`SECRET`].
pub async fn node_with_a_secret() -> (Secrets, Node) {
    let secrets = Secrets::new();
    secrets.write("jwt", "secret", SECRET);
    let node = node(&shared(), &secrets).await;
    (secrets, node)
}

/// A connection.
pub struct Client {
    pub socket: TcpStream,
    read: Vec<u8>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    /// Status line and header fields.
    pub head: String,
    /// None of a stream that goes on.
    pub body: String,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { socket: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    /// Sends a request as it stands, and reads its answer.
    pub async fn ask(&mut self, request: &str) -> Answer {
        self.socket.write_all(request.as_bytes()).await.unwrap();
        self.until("\r\n\r\n").await;
        let text = String::from_utf8(self.read.clone()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        self.read.drain(..head.len() + 4);
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.filter(|_| !request.starts_with("HEAD")).map_or(0, |length| length.parse().unwrap());
        while self.read.len() < length {
            assert!(self.more().await, "the body broke off");
        }
        let body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        Answer { status: head[9..12].parse().unwrap(), head: head.into(), body }
    }

    /// Reads on until a text has come; gives all so far.
    pub async fn until(&mut self, text: &str) -> String {
        let reading = async {
            while !String::from_utf8_lossy(&self.read).contains(text) {
                assert!(self.more().await, "it is over: {}", String::from_utf8_lossy(&self.read));
            }
        };
        assert!(timeout(PATIENCE, reading).await.is_ok(), "no {text:?}: {}", String::from_utf8_lossy(&self.read));
        String::from_utf8_lossy(&self.read).into()
    }

    /// Reads on until the end; gives all so far.
    pub async fn read_all(&mut self) -> String {
        let reading = async { while self.more().await {} };
        timeout(PATIENCE, reading).await.expect("it does not end");
        String::from_utf8_lossy(&self.read).into()
    }

    async fn more(&mut self) -> bool {
        matches!(self.socket.read_buf(&mut self.read).await, Ok(1..))
    }
}

impl Answer {
    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The `error` of a problem.
    pub fn error(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.head, self.body));
        problem["error"].as_str().unwrap().into()
    }

    /// All of it as text, but for the date.
    pub fn text(&self) -> String {
        let lines = self.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date: "));
        format!("{}\n\n{}", lines.collect::<Vec<_>>().join("\n"), self.body)
    }
}

/// A request on a connection of its own, which a shard may take over.
pub async fn ask(address: SocketAddr, request: &str) -> Answer {
    Client::connect(address).await.ask(request).await
}

/// GET with header fields.
pub fn get(path: &str, fields: &[(&str, &str)]) -> String {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: node\r\n");
    for (name, value) in fields {
        request.extend([*name, ": ", *value, "\r\n"]);
    }
    request + "\r\n"
}

/// A subscription with a token, in its header field.
pub async fn subscribe(node: &Node, path: &str, token: &str) -> (Answer, Client) {
    let mut client = Client::connect(node.public).await;
    let answer = client.ask(&get(path, &[("Authorization", &format!("Bearer {token}"))])).await;
    (answer, client)
}
