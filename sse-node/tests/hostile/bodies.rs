//! Bodies that come slowly, never end, or are too many; and what becomes of them when the node is to stop.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sse_node::{
    Stop,
    auth::Auth,
    broker::{Retention, memory::Memory},
    config::Current,
    fanout::hub::Hub,
    http::{
        bounds::Bounds,
        listen::listen,
        publish::{
            Publish,
            intake::{Intake, Patience},
        },
        room::Room,
    },
    limits::Limits,
    metrics::Metrics,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    support::{Node, PATIENCE, stream},
    wire::{hear, hear_out, say, statuses},
};

fn spec() -> ssefleet_crds::Stream {
    stream(&json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}}))
}

const SHORT: Duration = Duration::from_millis(400);

/// A publish listener with less patience, and room for 8 MiB of bodies.
async fn impatient() -> (std::net::SocketAddr, Metrics, DropGuard) {
    let (metrics, finish) = (Metrics::new().unwrap(), CancellationToken::new());
    let stream = spec();
    let broker = Arc::new(Memory::new(Retention::of_events(100)));
    let hub = Arc::new(Hub::start(broker, &stream, metrics.clone()).unwrap());
    let patience = Patience { body: SHORT, rate: 1 << 30, line: SHORT, finish: finish.clone() };
    let auth = Arc::new(Auth::new(&stream.auth, "no-secrets".into(), metrics.clone()));
    let publish = Publish {
        current: Current::new(stream),
        auth,
        limits: Limits::new(None, metrics.clone()),
        hub: hub.clone(),
        metrics: metrics.clone(),
        intake: Intake::new(patience, 8 << 20),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { hub.follow().await });
    let room = Room::new(publish, metrics.clone(), Bounds::default(), finish.clone());
    tokio::spawn(listen(listener, None, room, TaskTracker::new()));
    (address, metrics, finish.drop_guard())
}

fn head(content_type: &str, body: &str) -> String {
    format!("POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n{body}\r\n")
}

/// The problem that an answer holds.
fn problem(told: &str) -> Value {
    let body = told.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{told}"))
}

#[tokio::test]
async fn a_body_that_trickles_is_not_waited_for() {
    let (address, metrics, _end) = impatient().await;
    for (content_type, first, stored) in
        [("application/json", "{", None), ("application/x-ndjson", "{\"data\":1}\n{\"data\":2}\n{\"da", Some((3, 2)))]
    {
        let begun = Instant::now();
        let mut socket = say(address, head(content_type, "Content-Length: 1000\r\n") + first).await;
        let mut told = Vec::new();
        let trickling = async {
            let mut bytes = [0; 4096];
            loop {
                tokio::select! {
                    read = socket.read(&mut bytes) => match read {
                        Ok(count @ 1..) => told.extend_from_slice(&bytes[..count]),
                        _ => break,
                    },
                    () = tokio::time::sleep(Duration::from_millis(20)) => if socket.write_all(b" ").await.is_err() { break },
                }
            }
        };
        timeout(PATIENCE, trickling).await.expect("it goes on for ever");
        assert!((SHORT / 2..SHORT * 20).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        let problem = problem(str::from_utf8(&told).unwrap());
        assert_eq!(problem["status"], 408, "{problem}");
        if let Some((line, stored)) = stored {
            assert_eq!((&problem["line"], &problem["stored"]), (&json!(line), &json!(stored)), "{problem}");
        }
    }
    assert_eq!(metrics.publish_refused.with_label_values(&["slow"]).get(), 2);
}

#[tokio::test]
async fn lines_may_come_for_as_long_as_they_come() {
    let (address, _, _end) = impatient().await;
    let mut socket =
        say(address, head("application/x-ndjson", "Transfer-Encoding: chunked\r\nConnection: close\r\n")).await;
    for line in ["{\"data\":1}\n", "\n", "\n", "{\"data\":2}\n", "\n", "\n"] {
        tokio::time::sleep(SHORT / 2).await; // the pace of the publisher
        socket.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await.unwrap();
    }
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(statuses(&hear_out(&mut socket).await), [200]);
}

#[tokio::test]
async fn bodies_have_so_much_memory_together_and_give_it_back() {
    let (address, metrics, _end) = impatient().await;
    let large = vec![b'x'; 6 << 20];
    let length = format!("Content-Length: {}\r\n", 7 << 20);
    let first = say(address, [head("text/plain", &length).as_bytes(), &large].concat()).await;
    let second = async {
        let mut socket = say(address, [head("text/plain", &length).as_bytes(), &large].concat()).await;
        hear_out(&mut socket).await
    };
    assert_eq!(statuses(&second.await), [503]);
    assert_eq!(metrics.publish_refused.with_label_values(&["crowded"]).get(), 1);
    drop(first);
    let small = head("text/plain", "Content-Length: 5\r\nConnection: close\r\n") + "hello";
    let free = async {
        // What is let go of is free a moment later.
        while statuses(&hear_out(&mut say(address, &small).await).await) != [200] {}
    };
    timeout(PATIENCE, free).await.expect("nothing is given back");
}

#[tokio::test]
async fn a_request_has_so_many_events_and_no_more() {
    let node = Node::start(spec(), Arc::new(Memory::new(Retention::of_events(100)))).await;
    for (content_type, wrap) in
        [("application/json", ("[", ",", "]")), ("application/cloudevents-batch+json", ("[", ",", "]"))]
    {
        let event = if content_type.contains("cloud") {
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#
        } else {
            r#"{"data":1}"#
        };
        for (count, status) in [(10_000, 200), (10_001, 413)] {
            let body = format!("{}{}{}", wrap.0, vec![event; count].join(wrap.1), wrap.2);
            let (answer, told) = node.post("/publish", Some(content_type), body).await;
            assert_eq!(answer, status, "{}", &told[..200.min(told.len())]);
        }
    }
    // Many blank lines are no events.
    let body = format!("{}{{\"data\":1}}\n", "\n".repeat(20_000));
    let mut request = head("application/x-ndjson", "Idempotency-Key: k\r\nConnection: close\r\n");
    request = request.replacen("\r\n\r\n", &format!("\r\nContent-Length: {}\r\n\r\n", body.len()), 1);
    assert_eq!(statuses(&hear_out(&mut say(node.publish, request + &body).await).await), [200]);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_body_without_end() {
    let mut node = Node::start(spec(), Arc::new(Memory::new(Retention::of_events(100)))).await;
    let mut reader = node.subscribe("/events").await;
    let mut endless = say(node.publish, head("application/x-ndjson", "Content-Length: 1000000\r\n")).await;
    endless.write_all(b"{\"data\":1}\n\n{\"data\":2}\n{\"data\":3}\n{\"da").await.unwrap();
    assert_eq!(reader.data().await, ["1", "2", "3"]);
    let mut whole = say(node.publish, head("application/json", "Content-Length: 1000000\r\n") + "[").await;
    let begun = Instant::now();
    node.stop(Stop::Interrupted);
    let told = hear(&mut endless, "}\n").await;
    let problem = problem(&told);
    assert_eq!((&problem["status"], &problem["line"], &problem["stored"]), (&json!(503), &json!(5), &json!(3)));
    assert!(told.contains("retry-after: ") && problem["error"].as_str().unwrap().contains("about to stop"), "{told}");
    assert!(hear(&mut whole, "}\n").await.starts_with("HTTP/1.1 503"));
    drop(reader);
    node.stopped().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "the drain took {:?} of its 60 s", begun.elapsed());
}
