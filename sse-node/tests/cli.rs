//! The program as a user meets it: the README's one-minute way in, and what bad arguments are told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::CommandExt,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PROGRAM: &str = env!("CARGO_BIN_EXE_sse-node");

fn sse_node(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).current_dir(ROOT).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Ended with the test, by its own pid and those of its group.
struct Running(Child);

impl Running {
    fn shell(script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {script}")]).current_dir(ROOT).stdout(Stdio::piped()).process_group(0);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A manifest of one node and a memory broker.
fn manifest(drain_timeout: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let spec = format!("{{fleet: {{replicas: 1, drain: {{timeout: {drain_timeout}}}}}, broker: {{memory: {{}}}}}}");
    let head = "apiVersion: ssefleet.dev/v1alpha1\nkind: SseStream\nmetadata: {name: a}\n";
    std::fs::write(file.path(), format!("{head}spec: {spec}\n")).unwrap();
    file
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn wait_until_ready(admin: u16) {
    let begun = Instant::now();
    let url = format!("http://127.0.0.1:{admin}/readyz");
    while Command::new("curl").args(["-sf", &url]).output().unwrap().stdout.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not ready");
    }
}

/// The commands of the README's section, with ports that are free here and the program that was built for the test.
fn readme_commands() -> (Vec<String>, u16) {
    let readme = std::fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    let section = readme.split("### One minute, no cluster").nth(1).unwrap().split("\n### ").next().unwrap().to_owned();
    let [public, publish, admin] = free_ports();
    let commands = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().trim());
    let here = |command: &str| {
        let program = format!(
            "{PROGRAM} serve --public 127.0.0.1:{public} --publish 127.0.0.1:{publish} --admin 127.0.0.1:{admin}"
        );
        command
            .replace("cargo run -p sse-node -- serve", &program)
            .replace(":8080/", &format!(":{public}/"))
            .replace(":8081/", &format!(":{publish}/"))
    };
    (commands.map(here).collect(), admin)
}

#[test]
fn the_one_minute_way_in_works_as_the_readme_says() {
    let (commands, admin) = readme_commands();
    let [serve, subscribe, publish] = commands.try_into().unwrap();
    let _node = Running::shell(&serve);
    let begun = Instant::now();
    while Command::new("curl")
        .args(["-sf", &format!("http://127.0.0.1:{admin}/readyz")])
        .output()
        .unwrap()
        .stdout
        .is_empty()
    {
        assert!(begun.elapsed() < Duration::from_secs(10), "not ready: {serve}");
    }
    let mut subscriber = Running::shell(&subscribe);
    let mut lines = BufReader::new(subscriber.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("retry: "));
    let published = Command::new("sh").args(["-c", &publish]).output().unwrap();
    assert!(String::from_utf8_lossy(&published.stdout).starts_with(r#"{"ids":[""#), "{published:?}");
    let event: Vec<_> = lines.skip_while(|line| !line.starts_with("event:")).take(2).collect();
    assert_eq!(event, ["event: trade", r#"data: {"symbol":"ACME","price":42.1}"#]);
}

#[test]
fn a_bad_manifest_or_argument_is_exit_code_2_and_a_sentence() {
    let missing = sse_node(&["serve", "nowhere.yaml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(told(&missing).contains("nowhere.yaml: No such file"), "{}", told(&missing));

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "apiVersion: ssefleet.dev/v1alpha1\nkind: SseStream\nmetadata: {name: a}\nspec: {path: x}\n",
    )
    .unwrap();
    let refused = sse_node(&["serve", file.path().to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(&refused).contains("path must begin with '/'"), "{}", told(&refused));

    let secret = sse_node(&["serve", "examples/quickstart.yaml", "--redis", "redis://:hunter2@localhost"]);
    assert_eq!(secret.status.code(), Some(2));
    assert!(told(&secret).contains("hold no password") && !told(&secret).contains("hunter2"), "{}", told(&secret));

    assert_eq!(sse_node(&["serve"]).status.code(), Some(2));
}

#[test]
fn an_address_in_use_is_exit_code_1_and_says_which() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let failed = sse_node(&["serve", "examples/memory.yaml", "--publish", "127.0.0.1:0", "--public", &address]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(told(&failed).contains(&format!("can't listen on --public {address}")), "{}", told(&failed));
}

#[test]
fn health_asks_the_node_and_answers_by_its_exit_code() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = |status: &'static str| {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let head = BufReader::new(socket.try_clone().unwrap()).lines().map(Result::unwrap);
            let asked: Vec<_> = head.take_while(|line| !line.is_empty()).collect();
            std::io::Write::write_all(&mut socket, format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).unwrap();
            asked[0].clone()
        })
    };
    let healthy = answer("200 OK");
    assert_eq!(sse_node(&["health", "--public", &address]).status.code(), Some(0));
    assert_eq!(&healthy.join().unwrap(), "GET /health HTTP/1.1");
    let _ill = answer("500 Oh no");
    let ill = sse_node(&["health", "--public", &address]);
    assert_eq!(ill.status.code(), Some(1));
    assert!(told(&ill).contains("HTTP/1.1 500"), "{}", told(&ill));
}

#[test]
fn sigterm_closes_streams_cleanly_and_exits_with_0_within_the_drain_time() {
    let file = manifest("5s");
    let [public, publish, admin] = free_ports();
    let serve = format!(
        "{PROGRAM} serve {} --public 127.0.0.1:{public} --publish 127.0.0.1:{publish} --admin 127.0.0.1:{admin}",
        file.path().display()
    );
    let mut node = Running::shell(&serve);
    wait_until_ready(admin);
    let mut subscriber = Running::shell(&format!("curl -sN http://127.0.0.1:{public}/events"));
    let mut lines = BufReader::new(subscriber.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("retry: "));

    let begun = Instant::now();
    Command::new("kill").args(["-TERM", &node.0.id().to_string()]).status().unwrap();
    let rest: Vec<_> = lines.collect();
    assert!(rest.iter().any(|line| line == ": this node is about to stop; reconnect to another"), "{rest:?}");
    // curl ends with 18 when a chunked answer breaks off.
    assert_eq!(subscriber.0.wait().unwrap().code(), Some(0));
    assert_eq!(node.0.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
