//! What a connection may keep waiting for, and how many may: real sockets, and limits with less patience.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, StreamBody};
use hyper::{Request, body::Incoming};
use sse_node::{
    http::{
        bounds::Bounds,
        listen::listen,
        respond::{self, Response},
        room::{Handler, Room},
        tls::Tls,
    },
    metrics::Metrics,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    http2,
    support::PATIENCE,
    wire::{hear, hear_out, say},
};

/// Says a word, or many, or begins a stream of none.
struct Words;

impl Handler for Words {
    async fn handle(&self, request: Request<Incoming>, _: SocketAddr) -> Response {
        if request.uri().path() == "/stream" {
            let endless = StreamBody::new(futures_util::stream::pending::<Result<_, Infallible>>());
            return respond::stream("").map(|_| endless.boxed_unsync());
        }
        let many = if request.uri().path() == "/many" { 64 << 20 } else { 1 };
        respond::text("text/plain", "x".repeat(many))
    }
}

const SHORT: Duration = Duration::from_millis(400);
/// Longer than anything here lasts.
const LONG: Duration = Duration::from_mins(10);

struct Server {
    address: SocketAddr,
    metrics: Metrics,
    finish: CancellationToken,
}

impl Server {
    async fn start(bounds: Bounds, tls: Option<Arc<Tls>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, finish) = (Metrics::new().unwrap(), CancellationToken::new());
        let room = Room::new(Words, metrics.clone(), bounds, finish.clone());
        tokio::spawn(listen(listener, tls, room, TaskTracker::new()));
        Self { address, metrics, finish }
    }

    fn refused(&self, reason: &str) -> u64 {
        self.metrics.http_refused.with_label_values(&[reason]).get()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.finish.cancel();
    }
}

fn patient() -> Bounds {
    Bounds { head: LONG, idle: LONG, taking: LONG, resets_within: LONG, waiting: 1000 }
}

/// Says a letter again and again, until the connection is over; how long that took.
async fn trickle(mut socket: TcpStream) -> Duration {
    let begun = Instant::now();
    let trickling = async {
        let mut word = [0; 256];
        loop {
            tokio::select! {
                read = socket.read(&mut word) => if !matches!(read, Ok(1..)) { break },
                () = tokio::time::sleep(Duration::from_millis(20)) => if socket.write_all(b"a").await.is_err() { break },
            }
        }
    };
    timeout(PATIENCE, trickling).await.expect("it goes on for ever");
    begun.elapsed()
}

fn soon(took: Duration) {
    assert!((SHORT / 2..SHORT * 20).contains(&took), "it took {took:?}");
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection_whatever_trickles() {
    let server = Server::start(Bounds { head: SHORT, ..patient() }, None).await;
    soon(trickle(say(server.address, "GET /").await).await);
    // The beginning of what HTTP/2 begins with.
    soon(trickle(say(server.address, "PRI * HTTP/2.0\r\n").await).await);
    // A further request on the same connection, of which some has come; and HTTP/2 without any.
    let mut again = say(server.address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    hear(&mut again, "\r\n\r\nx").await;
    soon(trickle(again).await);
    let mut silent = say(server.address, [http2::PREFACE, &http2::frame(4, 0, 0, &[])].concat()).await;
    let begun = Instant::now();
    hear_out(&mut silent).await;
    soon(begun.elapsed());
    assert_eq!(server.refused("head_late"), 4);
}

#[tokio::test]
async fn a_tls_handshake_has_the_time_of_a_head_and_so_has_the_head_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost".split(' '),
        )
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "tls.key", "-out", "tls.crt"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let tls = Tls::load(certificate.clone(), key).unwrap();
    let server = Server::start(Bounds { head: SHORT, ..patient() }, Some(tls)).await;
    // A ClientHello of 512 bytes that is never there.
    soon(trickle(say(server.address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").await).await);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let socket = TcpStream::connect(server.address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    let begun = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let _ = timeout(PATIENCE, stream.read(&mut [0; 1])).await.expect("it goes on for ever");
    soon(begun.elapsed());
    assert_eq!(server.refused("head_late"), 2);
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_a_while_and_pings_do_not_prolong_it() {
    let server = Server::start(Bounds { idle: SHORT, ..patient() }, None).await;
    let mut socket = say(server.address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    hear(&mut socket, "\r\n\r\nx").await;
    let begun = Instant::now();
    hear_out(&mut socket).await;
    soon(begun.elapsed());

    let socket = TcpStream::connect(server.address).await.unwrap();
    let (mut client, mut connection) = h2::client::handshake(socket).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let ended = tokio::spawn(connection);
    let request = Request::get("http://x/").body(()).unwrap();
    client.send_request(request, true).unwrap().0.await.unwrap();
    let begun = Instant::now();
    let pinging = async { while pings.ping(h2::Ping::opaque()).await.is_ok() {} };
    timeout(PATIENCE, pinging).await.expect("it goes on for ever");
    soon(begun.elapsed());
    let _ = ended.await.unwrap();
    assert_eq!(server.refused("idle"), 2);
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_the_connection() {
    let server = Server::start(Bounds { taking: SHORT, idle: SHORT, ..patient() }, None).await;
    let socket = say(server.address, "GET /many HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // By HTTP/2 with a window of nothing (SETTINGS_INITIAL_WINDOW_SIZE).
    let settings = http2::frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let many = [http2::PREFACE, &settings, &http2::get(1, "/many")].concat();
    let stubborn = say(server.address, many).await;
    let gone = async {
        while server.refused("not_taken") + server.refused("idle") < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("it goes on for ever");
    assert!(server.refused("not_taken") >= 1);
    drop((socket, stubborn));
    // One who takes it, slowly, gets all of it.
    let server = Server::start(Bounds { taking: LONG, ..patient() }, None).await;
    let mut socket = say(server.address, "GET /many HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(hear_out(&mut socket).await.len() > 64 << 20);
}

#[tokio::test]
async fn of_too_many_who_wait_the_oldest_goes_and_one_with_a_request_stays() {
    let server = Server::start(Bounds { waiting: 3, ..patient() }, None).await;
    // Kept after a request, it waits as the new ones do.
    let mut kept = say(server.address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    hear(&mut kept, "\r\n\r\nx").await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(say(server.address, "GET /").await);
    }
    // It has waited for longest.
    assert_eq!(hear_out(&mut kept).await, "");
    for _ in 0..20 {
        let mut honest = say(server.address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        hear(&mut honest, "\r\n\r\nx").await;
        silent.push(honest);
    }
    for socket in &mut silent[..3] {
        assert_eq!(hear_out(socket).await, "");
    }
    assert_eq!(server.refused("crowded"), 21);
}

#[tokio::test]
async fn streams_that_are_reset_once_they_are_served_are_as_few_as_honest_clients_need() {
    let server = Server::start(patient(), None).await;
    let mut socket = say(server.address, [http2::PREFACE, &http2::frame(4, 0, 0, &[])].concat()).await;
    let mut resets = 0;
    while http2::serve_and_reset(&mut socket, 2 * resets + 1, "/stream").await {
        resets += 1;
        assert!(resets < 2_000, "it goes on for ever");
    }
    assert!((1_000..1_010).contains(&resets), "{resets}");
    assert_eq!(server.refused("resets"), 1);
}
