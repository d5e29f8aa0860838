//! A client that shows the very bytes that came: the head as it was, and the body to its end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::{Value, json};
use sse_node::broker::{
    Broker, Retention,
    memory::Memory,
    redis::{Address, Redis},
};
use ssefleet_tests::redis::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Node, PATIENCE, stream};

/// What a browser's EventSource sends.
pub const BROWSER: &str = "Accept: text/event-stream\r\nSec-Fetch-Mode: cors\r\n";

/// One who asked for the stream.
pub struct Client {
    socket: TcpStream,
    /// Of the answer, with its empty line.
    pub head: String,
    body: Vec<u8>,
}

/// Asks for the stream, with further header fields, each with its line's end.
pub async fn ask(node: SocketAddr, fields: &str) -> Client {
    Client::of(TcpStream::connect(node).await.unwrap(), fields).await
}

impl Client {
    pub async fn of(mut socket: TcpStream, fields: &str) -> Self {
        let request = format!("GET /events HTTP/1.1\r\nHost: node\r\n{fields}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        Self::read(socket).await
    }

    /// Reads the head of an answer.
    pub async fn read(mut socket: TcpStream) -> Self {
        let mut read = Vec::new();
        loop {
            let taken = timeout(PATIENCE, socket.read_buf(&mut read)).await.expect("no answer came").unwrap();
            assert!(taken > 0, "the answer broke off: {}", String::from_utf8_lossy(&read));
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                let body = read.split_off(end + 4);
                return Self { socket, head: String::from_utf8(read).unwrap(), body };
            }
        }
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn number(&self, name: &str) -> u64 {
        self.field(name).unwrap_or_else(|| panic!("no {name} in {}", self.head)).parse().unwrap()
    }

    /// Whether it is a subscriber now.
    pub fn is_in(&self) -> bool {
        self.status() == 200 && self.field("x-sse-connection").is_some()
    }

    /// The head without what differs from one answer to the next.
    pub fn steady_head(&self) -> String {
        let differs = |line: &&str| {
            !["date", "x-sse-connection"].iter().any(|name| line.to_ascii_lowercase().starts_with(&format!("{name}: ")))
        };
        self.head.lines().filter(differs).flat_map(|line| [line, "\n"]).collect()
    }

    /// The body, when all of it is there, without its chunks.
    pub async fn body(mut self) -> String {
        if let Some(length) = self.field("content-length") {
            let length: usize = length.parse().unwrap();
            while self.body.len() < length {
                assert!(timeout(PATIENCE, self.socket.read_buf(&mut self.body)).await.unwrap().unwrap() > 0);
            }
        } else {
            timeout(PATIENCE, self.socket.read_to_end(&mut self.body)).await.unwrap().unwrap();
        }
        String::from_utf8(self.body).unwrap()
    }

    /// When it is to come back, by what it was told last.
    pub fn retry(&self) -> Duration {
        let body = str::from_utf8(&self.body).unwrap();
        let told = body.lines().filter_map(|line| line.strip_prefix("retry: ")).next_back();
        Duration::from_millis(told.expect("no retry").parse().unwrap())
    }

    /// Waits until the stream has ended.
    pub async fn ended(&mut self) {
        timeout(PATIENCE, self.socket.read_to_end(&mut self.body)).await.expect("the stream did not end").unwrap();
    }
}

/// A spec with these limits, and what else it should have.
pub fn spec(limits: &Value, more: Value) -> Value {
    let mut spec = more;
    spec["rateLimits"] = limits.clone();
    spec
}

pub fn memory() -> Arc<dyn Broker> {
    Arc::new(Memory::new(Retention::of_events(100)))
}

/// A node with a memory broker.
pub async fn alone(limits: &Value, more: Value) -> Node {
    let mut spec = spec(limits, more);
    spec["broker"] = json!({"memory": {}});
    spec["fleet"]["replicas"] = 1.into();
    Node::start(stream(&spec), memory()).await
}

/// A node among others that share a Redis.
pub async fn among(server: &Server, limits: &Value, more: Value) -> Node {
    let address = Address::new(server.url());
    let broker = Redis::new(address, "ssefleet:default/quotes".into(), Retention::of_events(100));
    Node::start(stream(&spec(limits, more)), Arc::new(broker)).await
}
