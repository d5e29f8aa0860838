//! NDJSON that is stored as it comes: of any length, at the pace of the log, and told line by line.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Request, body::Frame, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sse_node::{
    broker::{
        Appended, Broadcasts, Broker, BrokerError, Extent, Once, Retention, Tail,
        memory::Memory,
        revocation::{Found, Mark, Revocation},
    },
    event::{Event, NewEvent, Position},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

use crate::support::{Node, stream};

/// A memory broker that appends only as often as it is allowed to, and fails when it is told.
struct Slow {
    memory: Memory,
    allowed: Semaphore,
    /// Appends after this many fail.
    fails_after: usize,
    appends: AtomicUsize,
    largest: AtomicUsize,
}

impl Slow {
    fn new(allowed: usize, fails_after: usize) -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::new(Retention::of_events(1_000_000)),
            allowed: Semaphore::new(allowed),
            fails_after,
            appends: 0.into(),
            largest: 0.into(),
        })
    }
}

impl Broker for Slow {
    fn open(&self) -> BoxFuture<'_, Result<Extent, BrokerError>> {
        self.memory.open()
    }
    fn append(&self, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Position>, BrokerError>> {
        Box::pin(async move {
            self.allowed.acquire().await.unwrap().forget();
            self.largest.fetch_max(batch.len(), Relaxed);
            if self.appends.fetch_add(1, Relaxed) >= self.fails_after {
                return Err(BrokerError::Full);
            }
            self.memory.append(batch).await
        })
    }
    fn append_once(&self, once: Once, batch: Vec<NewEvent>) -> BoxFuture<'_, Result<Appended, BrokerError>> {
        self.memory.append_once(once, batch)
    }
    fn read_after(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, BrokerError>> {
        self.memory.read_after(after, limit)
    }
    fn tail(&self, after: Position) -> Box<dyn Tail + '_> {
        self.memory.tail(after)
    }
    fn retain(&self, retention: Retention) {
        self.memory.retain(retention);
    }
    fn revoke<'a>(&'a self, revocation: &'a Revocation) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.memory.revoke(revocation)
    }
    fn revocations<'a>(&'a self, after: &'a Mark) -> BoxFuture<'a, Result<Found, BrokerError>> {
        self.memory.revocations(after)
    }
    fn broadcasts(&self, _: &str, _: usize) -> Option<Box<dyn Broadcasts + '_>> {
        None
    }
}

async fn node(broker: Arc<dyn Broker>) -> Node {
    let spec = json!({"broker": {"memory": {}}, "fleet": {"replicas": 1}, "history": {"maxEventBytes": "1Ki"}});
    Node::start(stream(&spec), broker).await
}

/// A publication whose body is sent part by part; the answer comes when it comes.
fn publish(node: &Node) -> (mpsc::Sender<String>, JoinHandle<(u16, Value)>) {
    let (sender, mut parts) = mpsc::channel::<String>(1);
    let address = node.publish;
    let answer = tokio::spawn(async move {
        let parts = futures_util::stream::poll_fn(move |cx| {
            parts.poll_recv(cx).map(|part| part.map(|part| Ok::<_, std::convert::Infallible>(Frame::data(part.into()))))
        });
        let body: UnsyncBoxBody<Bytes, _> = StreamBody::new(parts).boxed_unsync();
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post("/publish").header("host", "node").header("content-type", "application/x-ndjson");
        let response = client.send_request(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
    });
    (sender, answer)
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |lines, n| lines + &format!("{{\"data\":{n}}}\n"))
}

#[tokio::test]
async fn lines_are_stored_while_the_body_is_still_being_sent() {
    let node = node(Arc::new(Memory::new(Retention::of_events(1000)))).await;
    let mut reader = node.subscribe("/events").await;
    let (body, answer) = publish(&node);
    body.send("{\"data\":1}\n{\"da".into()).await.unwrap();
    assert_eq!(reader.data().await, ["1"]);
    body.send("ta\":2}\n\n".into()).await.unwrap();
    assert_eq!(reader.data().await, ["2"]);
    body.send("{\"data\":3}".into()).await.unwrap();
    drop(body);
    let (status, answer) = answer.await.unwrap();
    assert_eq!((status, answer["ids"].as_array().unwrap().len()), (200, 3));
    assert_eq!(reader.next().await.id, answer["ids"][2]);
}

#[tokio::test]
async fn a_body_may_be_longer_than_any_other_and_gets_all_its_ids() {
    const LINES: usize = 60_000;
    let broker = Slow::new(1_000_000, usize::MAX);
    let node = node(broker.clone()).await;
    let (body, answer) = publish(&node);
    let mut sent = 0;
    for part in 0..60 {
        let padding = " ".repeat(200);
        let part = lines(part * LINES / 60..(part + 1) * LINES / 60).replace(':', &format!(":{padding}"));
        sent += part.len();
        body.send(part).await.unwrap();
    }
    drop(body);
    assert!(sent > 12 << 20, "{sent}");
    let (status, answer) = answer.await.unwrap();
    let ids: Vec<String> = serde_json::from_value(answer["ids"].clone()).unwrap();
    assert_eq!((status, ids.len()), (200, LINES));
    // Many lines at once, and no more than a batch may have.
    assert!((100..=256).contains(&broker.largest.load(Relaxed)), "{:?}", broker.largest);
    let log = broker.memory.read_after(broker.open().await.unwrap().first.before(), LINES).await.unwrap();
    for (n, (event, id)) in log.iter().zip(&ids).enumerate() {
        assert_eq!((event.new.data.parse(), &event.position.to_string()), (Ok(n), id));
    }
}

#[tokio::test]
async fn a_publisher_is_held_to_the_pace_of_the_log() {
    let broker = Slow::new(0, usize::MAX);
    let node = node(broker.clone()).await;
    let (body, answer) = publish(&node);
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let sending = tokio::spawn(async move {
        let part = lines(0..1000).replace(':', &format!(":{}", " ".repeat(1000)));
        for _ in 0..50 {
            body.send(part.clone()).await.unwrap();
            counted.fetch_add(part.len(), Relaxed);
        }
    });
    // Until nothing more is taken: what the sockets hold, and two batches.
    let mut before = usize::MAX;
    while before != sent.load(Relaxed) {
        before = sent.load(Relaxed);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(before < 20 << 20, "{before} bytes were taken while nothing was stored");
    assert!(!sending.is_finished());
    broker.allowed.add_permits(1_000_000);
    let (status, answer) = answer.await.unwrap();
    assert_eq!((status, answer["ids"].as_array().unwrap().len()), (200, 50_000));
    assert!(sent.load(Relaxed) > 50_000_000);
}

#[tokio::test]
async fn a_bad_line_is_named_and_all_before_it_is_stored() {
    let broker = Slow::new(1_000_000, usize::MAX);
    let node = node(broker.clone()).await;
    let told = async |body: String| {
        let (parts, answer) = publish(&node);
        let _ = parts.send(body).await;
        drop(parts);
        let (status, problem) = answer.await.unwrap();
        let stored = problem["stored"].as_u64().unwrap();
        (status, problem["line"].as_u64().unwrap(), stored, problem["error"].as_str().unwrap().to_owned())
    };
    let (status, line, stored, error) = told(format!("\n{}oops\n{}", lines(0..700), lines(700..800))).await;
    assert_eq!((status, line, stored), (400, 702, 700), "{error}");
    assert!(error.starts_with("line 702: "), "{error}");
    let (status, line, stored, error) = told(lines(0..1) + &format!("{{\"data\":\"{}\"}}\n", "x".repeat(1025))).await;
    assert!((status, line, stored) == (413, 2, 1) && error.contains("maxEventBytes, 1024"), "{error}");
    let (status, line, stored, error) = told(lines(0..1) + &"x".repeat(20_000)).await;
    assert!((status, line, stored) == (413, 2, 1) && error.contains("a line has more than"), "{error}");
    let (status, line, stored, error) = told("\u{0}".into()).await;
    assert_eq!((status, line, stored), (400, 1, 0), "{error}");
    let extent = broker.open().await.unwrap();
    assert_eq!(extent.last.seq, 702);
}

#[tokio::test]
async fn a_log_that_fails_midway_is_told_with_what_is_stored() {
    let broker = Slow::new(1_000_000, 3);
    let node = node(broker.clone()).await;
    let (parts, answer) = publish(&node);
    parts.send(format!("\n{}", lines(0..1024))).await.unwrap();
    drop(parts);
    let (status, problem) = answer.await.unwrap();
    // The line after those that are stored, and the blank one.
    let stored = broker.open().await.unwrap().last.seq;
    assert_eq!((status, &problem["stored"], &problem["line"]), (503, &json!(stored), &json!(stored + 2)), "{problem}");
    assert!((3..=768).contains(&stored), "{stored}");
}

#[tokio::test]
async fn lines_that_are_all_blank_are_no_events() {
    let node = node(Arc::new(Memory::new(Retention::of_events(10)))).await;
    let (status, told) = node.post("/publish", Some("application/x-ndjson"), "\n \n").await;
    assert!(status == 400 && told.contains("no event in the body"), "{told}");
}
