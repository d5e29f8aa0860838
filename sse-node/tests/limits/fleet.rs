//! All nodes of a stream count together, exactly; and one that dies takes no places with it.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::json;
use ssefleet_tests::redis::Server;
use tokio::{net::TcpStream, time::sleep};

use crate::{
    raw::{Client, among, ask, spec},
    support::eventually,
};

/// A thousand attempts on each of three nodes, all at once and by one key.
#[tokio::test(flavor = "multi_thread")]
async fn of_three_thousand_at_once_on_three_nodes_exactly_ten_are_let_in() {
    let server = Server::start().await;
    let limits = json!({"connect": {"max": 10}});
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(among(&server, &limits, json!({"connections": {"maxPerPod": 2000}})).await);
    }
    let mut sockets = Vec::new();
    for n in 0..3000 {
        sockets.push(TcpStream::connect(nodes[n % 3].public).await.unwrap());
    }
    let clients = join_all(sockets.into_iter().map(|socket| tokio::spawn(Client::of(socket, "")))).await;
    let clients: Vec<Client> = clients.into_iter().map(Result::unwrap).collect();
    assert_eq!(clients.iter().filter(|client| client.is_in()).count(), 10);
    assert!(clients.iter().all(|client| client.is_in() || client.status() == 429));
    let mut by_the_fleet = 0;
    for node in &nodes {
        by_the_fleet += node.metric("ssefleet_node_limit_decisions_total{by=\"fleet\"}").await;
    }
    assert_eq!(by_the_fleet, 3000);
}

/// A node of its own process.
struct Process {
    child: Child,
    public: SocketAddr,
}

impl Process {
    async fn start(manifest: &std::path::Path, redis: &str) -> Self {
        let [public, publish, admin] =
            [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap()).map(|listener| listener.local_addr().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_sse-node"))
            .arg("serve")
            .arg(manifest)
            .args(["--redis", redis])
            .args(["--public", &public.to_string(), "--publish", &publish.to_string(), "--admin", &admin.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let node = Self { child, public };
        eventually("the node listens", async || TcpStream::connect(admin).await.is_ok()).await;
        eventually("the log is open", async || ask(public, "X-Probe: 1\r\n").await.status() != 503).await;
        node
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn the_places_of_a_node_that_was_killed_are_free_half_a_minute_later() {
    let server = Server::start().await;
    let limits = json!({"concurrent": {"max": 2, "per": "Header", "header": "X-Client"}});
    let file = tempfile::NamedTempFile::new().unwrap();
    let object = json!({"apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream", "metadata": {"name": "quotes"}, "spec": spec(&limits, json!({}))});
    std::fs::write(file.path(), object.to_string()).unwrap();
    let mut dies = Process::start(file.path(), &server.url()).await;
    let lives = Process::start(file.path(), &server.url()).await;
    let me = "X-Client: me\r\n";

    let held = [ask(dies.public, me).await, ask(dies.public, me).await];
    assert!(held.iter().all(Client::is_in));
    // A place is kept for as long as the stream is there, however long that is.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(35) {
        assert_eq!(ask(lives.public, me).await.status(), 429, "after {:?}", begun.elapsed());
        sleep(Duration::from_millis(500)).await;
    }
    // As by `kill -9`.
    dies.child.kill().unwrap();
    let killed = Instant::now();
    let mut client = ask(lives.public, me).await;
    assert_eq!(client.status(), 429, "nobody has told that the node is gone");
    while !client.is_in() {
        assert!(killed.elapsed() < Duration::from_secs(33), "the places are still taken");
        sleep(Duration::from_millis(100)).await;
        client = ask(lives.public, me).await;
    }
    assert!(killed.elapsed() > Duration::from_secs(15), "{:?}", killed.elapsed());
}
