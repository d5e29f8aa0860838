//! Nodes in this process, on ports of their own, and a subscriber that reads them over a real socket.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sse_node::{Listeners, Setup, Stop, broker::Broker, changes::Changes, http::tls::Tls};
use ssefleet_crds::{Stream, manifest};
use ssefleet_tests::sse::parser::{Event, Parser};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A stream as a manifest's `spec` gives it.
pub fn stream(spec: &Value) -> Stream {
    let object = json!({"apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream", "metadata": {"name": "quotes"}, "spec": spec});
    Stream::try_from(&manifest::read(&object.to_string()).unwrap()).unwrap()
}

/// Asks again and again, as long as a test waits, until something holds.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let asking = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(PATIENCE, asking).await.is_ok(), "still not: {what}");
}

const LOOPBACK: &str = "127.0.0.1";

/// What a node serves, with no Secrets.
pub fn setup(stream: Stream, broker: Arc<dyn Broker>) -> Setup {
    Setup { stream, changes: None, secrets: PathBuf::from("no-secrets"), broker, name: Some("node-0".into()) }
}

/// A node that runs in this process.
pub struct Node {
    pub public: SocketAddr,
    pub publish: SocketAddr,
    pub admin: SocketAddr,
    stop: Option<oneshot::Sender<Stop>>,
    task: JoinHandle<()>,
}

impl Node {
    /// Returns when the node is ready.
    pub async fn start(stream: Stream, broker: Arc<dyn Broker>) -> Self {
        Self::start_unready(stream, broker).await.ready().await
    }

    /// One that follows a manifest.
    pub async fn start_from(file: PathBuf, stream: Stream, broker: Arc<dyn Broker>) -> Self {
        Self::start_as(Setup { changes: Some(Changes::since_now(file)), ..setup(stream, broker) }).await
    }

    pub async fn start_unready(stream: Stream, broker: Arc<dyn Broker>) -> Self {
        Self::begin(LOOPBACK, None, setup(stream, broker)).await
    }

    async fn ready(self) -> Self {
        let node = self;
        let ready = async {
            while node.get(node.admin, "/readyz").await.0 != 200 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, ready).await.expect("the node never got ready");
        node
    }

    /// One whose public listener speaks TLS.
    pub async fn start_with_tls(tls: Arc<Tls>, stream: Stream, broker: Arc<dyn Broker>) -> Self {
        Self::begin(LOOPBACK, Some(tls), setup(stream, broker)).await.ready().await
    }

    /// One that is reached by another address than that of loopback.
    pub async fn start_at(address: &str, stream: Stream, broker: Arc<dyn Broker>) -> Self {
        Self::begin(address, None, setup(stream, broker)).await.ready().await
    }

    /// One that is set up otherwise.
    pub async fn start_as(setup: Setup) -> Self {
        Self::begin(LOOPBACK, None, setup).await.ready().await
    }

    async fn begin(address: &str, tls: Option<Arc<Tls>>, setup: Setup) -> Self {
        let bind = async || TcpListener::bind((address, 0)).await.unwrap();
        let listeners = Listeners { public: bind().await, tls, publish: bind().await, admin: bind().await };
        let [public, publish, admin] =
            [&listeners.public, &listeners.publish, &listeners.admin].map(|listener| listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stop = async { stopped.await.unwrap_or(Stop::Interrupted) };
            sse_node::serve(setup, listeners, stop).await.unwrap();
        });
        Self { public, publish, admin, stop: Some(stop), task }
    }

    /// Asks it to stop; it goes on draining.
    pub fn stop(&mut self, how: Stop) {
        self.stop.take().unwrap().send(how).unwrap();
    }

    /// Waits until it has stopped.
    pub async fn stopped(self) {
        timeout(PATIENCE, self.task).await.expect("the node never stopped").unwrap();
    }

    pub async fn subscribe(&self, path: &str) -> Reader {
        Reader::connect(self.public, path, None).await
    }

    pub async fn resume(&self, path: &str, id: &str) -> Reader {
        Reader::connect(self.public, path, Some(id)).await
    }

    /// The ids of what was published.
    pub async fn publish(&self, body: Value) -> Vec<String> {
        let (status, text) = self.post("/publish", Some("application/json"), body.to_string()).await;
        assert_eq!(status, 200, "{text}");
        let ids = serde_json::from_str::<Value>(&text).unwrap()["ids"].take();
        serde_json::from_value(ids).unwrap()
    }

    pub async fn post(&self, path: &str, content_type: Option<&str>, body: impl Into<Vec<u8>>) -> (u16, String) {
        let mut request = Request::post(path).header("host", "node");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let body = Full::new(bytes::Bytes::from(body.into()));
        text(send(self.publish, request.body(body).unwrap()).await).await
    }

    pub async fn get(&self, address: SocketAddr, path: &str) -> (u16, String) {
        text(send(address, Request::get(path).header("host", "node").body(Full::default()).unwrap()).await).await
    }

    /// A figure of `/metrics`.
    pub async fn metric(&self, name: &str) -> u64 {
        let (_, metrics) = self.get(self.admin, "/metrics").await;
        let line = metrics.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.split(' ').nth(1)).unwrap_or("0").parse().unwrap()
    }
}

/// Publishes a number to a node that may have no log: the status and what it says.
pub async fn post(address: SocketAddr, number: u64) -> (u16, String) {
    let body = Full::new(bytes::Bytes::from(format!("{{\"data\":\"{number}\"}}")));
    let request = Request::post("/publish").header("host", "node").header("content-type", "application/json");
    text(send(address, request.body(body).unwrap()).await).await
}

pub async fn send(address: SocketAddr, request: Request<Full<bytes::Bytes>>) -> Response<Incoming> {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

async fn text(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A subscriber on one connection.
pub struct Reader {
    pub response: hyper::http::response::Parts,
    body: Incoming,
    parser: Parser,
    /// Every byte so far.
    pub raw: String,
    events: std::collections::VecDeque<Event>,
}

impl Reader {
    async fn connect(address: SocketAddr, path: &str, id: Option<&str>) -> Self {
        let mut request = Request::get(path).header("host", "node");
        if let Some(id) = id {
            request = request.header("last-event-id", id);
        }
        let response = send(address, request.body(Full::default()).unwrap()).await;
        let (response, body) = response.into_parts();
        assert_eq!(response.status, 200);
        let parser = Parser::new(id.unwrap_or_default());
        let mut reader = Self { response, body, parser, raw: String::new(), events: [].into() };
        reader.more().await;
        reader
    }

    /// Reads on; false when the stream is over.
    pub async fn more(&mut self) -> bool {
        let frame = timeout(PATIENCE, self.body.frame()).await.expect("nothing came");
        let Some(Ok(frame)) = frame else { return false };
        let bytes = frame.into_data().unwrap();
        self.raw.push_str(std::str::from_utf8(&bytes).unwrap());
        self.events.extend(self.parser.feed(&bytes));
        true
    }

    /// Reads on to the end, which must come while a test waits, heartbeats or not.
    pub async fn ended(&mut self) {
        let reading = async { while self.more().await {} };
        assert!(timeout(PATIENCE, reading).await.is_ok(), "the stream does not end: {}", self.raw);
    }

    /// Reads on until something holds; false if it does not for as long as a test waits.
    pub async fn until(&mut self, holds: impl Fn(&Self) -> bool) -> bool {
        let reading = async {
            while !holds(self) {
                assert!(self.more().await, "the stream is over");
            }
        };
        timeout(PATIENCE, reading).await.is_ok()
    }

    /// The next event; heartbeats in its place are not waited for without end.
    pub async fn next(&mut self) -> Event {
        assert!(self.until(|reader| !reader.events.is_empty()).await, "no event came: {}", self.raw);
        self.events.pop_front().unwrap()
    }

    /// The data of the next events.
    pub async fn data<const N: usize>(&mut self) -> [String; N] {
        let mut data = [const { String::new() }; N];
        for data in &mut data {
            *data = self.next().await.data;
        }
        data
    }

    pub fn last_event_id(&self) -> &str {
        self.parser.last_event_id()
    }

    pub fn retry(&self) -> u64 {
        self.parser.retry().unwrap()
    }
}
