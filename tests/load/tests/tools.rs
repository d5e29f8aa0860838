//! The tools with each other: `swarm` and `publisher` against the baselines, as a user starts them.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// A child that does not outlive its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn serve(program: &str) -> (Server, SocketAddr) {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let server = Server(Command::new(program).arg(address.to_string()).spawn().expect("start the server"));
    until("the server listens", || TcpStream::connect(address).is_ok());
    (server, address)
}

fn until(what: &str, mut met: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !met() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited too long until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn swarm(address: SocketAddr, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_swarm"))
        .args(["--url", &format!("http://{address}/events"), "--ids", "any", "--timeout", "30", "--progress", "20"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start swarm")
}

/// Waits for a line of progress that has these words.
fn told(swarm: &mut Child, words: &str) {
    use std::io::{BufRead, BufReader};
    let errors = swarm.stderr.take().expect("stderr");
    let mut lines = BufReader::new(errors).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains(words)), "swarm ended before {words}");
    thread::spawn(move || lines.for_each(drop));
}

fn publish(address: SocketAddr, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_publisher"))
        .args(["--url", &format!("http://{address}/publish"), "--as-fast-as-possible"])
        .args(arguments)
        .output()
        .expect("run publisher")
}

fn result(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("a result")
}

#[test]
fn a_hundred_connections_get_every_event_of_either_baseline() {
    for program in [env!("CARGO_BIN_EXE_raw"), env!("CARGO_BIN_EXE_naive")] {
        let (_server, address) = serve(program);
        let arguments = ["--connections", "100", "--processes", "2", "--expect", "50"];
        let mut swarm = swarm(address, &arguments);
        told(&mut swarm, "connected=100 ");
        let published = publish(address, &["--events", "50"]);
        assert!(published.status.success(), "{published:?}");
        assert_eq!(result(&published)["acknowledged"], 50);
        let found = swarm.wait_with_output().expect("swarm's result");
        assert!(found.status.success(), "{found:?}");
        let found = result(&found);
        assert_eq!((&found["received"], &found["broadcast_ms"]["count"]), (&5_000.into(), &50.into()), "{found:#}");
    }
}

#[test]
fn a_lost_event_fails_the_swarm() {
    let (_server, address) = serve(env!("CARGO_BIN_EXE_raw"));
    let mut swarm = swarm(address, &["--connections", "10", "--expect", "20"]);
    told(&mut swarm, "connected=10 ");
    publish(address, &["--events", "9"]);
    publish(address, &["--events", "10", "--first", "11"]); // 10 is missing
    publish(address, &["--events", "1", "--first", "19"]); // 19 comes again
    publish(address, &["--events", "200", "--first", "21"]);
    let found = swarm.wait_with_output().expect("swarm's result");
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let found = result(&found);
    assert!(found["lost"].as_u64() >= Some(10) && found["duplicated"] == 10, "{found:#}");
}
