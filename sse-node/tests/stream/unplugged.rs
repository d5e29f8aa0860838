//! A network goes away without a word, as when a cable is pulled: nothing is refused and nothing reset, so that only
//! the node's own patience notices.
//!
//! Who is to be lost, Redis or a subscriber, runs in a network namespace of its own, at the other end of a veth pair
//! that the test takes down.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use serde_json::json;
use sse_node::broker::{
    Broker, Retention,
    memory::Memory,
    redis::{Address, Redis},
};
use tokio::process::{Child, Command as Process};

use crate::support::{Node, stream};

/// A namespace, and a process in it, which go with the test.
struct Island {
    name: String,
    link: String,
    /// The address at this end.
    here: String,
    there: String,
    inhabitant: Option<Child>,
}

fn run(command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    let done = Command::new(words[0]).args(&words[1..]).output();
    let done = done.unwrap_or_else(|error| panic!("{command}: {error}; this test needs iproute2"));
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command}: {told} (this test makes a network namespace, for which it needs root)");
}

impl Island {
    /// Two of them have different numbers, below 16.
    fn new(number: u8) -> Self {
        let process = std::process::id() % 1_000_000;
        let (name, link) = (format!("sse-island-{process}-{number}"), format!("ssei{process}-{number}"));
        // Of the block for tests of networks, RFC 2544.
        let address = |host: u8| format!("198.19.254.{}", number * 4 + host);
        run(&format!("ip netns add {name}"));
        let island = Self { name, link, here: address(1), there: address(2), inhabitant: None };
        let Self { name, link, here, there, .. } = &island;
        run(&format!("ip link add {link} type veth peer name shore netns {name}"));
        run(&format!("ip address add {here}/30 dev {link}"));
        run(&format!("ip link set {link} up"));
        run(&format!("ip -n {name} address add {there}/30 dev shore"));
        run(&format!("ip -n {name} link set shore up"));
        island
    }

    fn settle(&mut self, program: &[&str]) {
        let mut process = Process::new("ip");
        process.args(["netns", "exec", &self.name]).args(program).stdout(Stdio::null()).kill_on_drop(true);
        self.inhabitant = Some(process.spawn().unwrap());
    }

    fn unplug(&self) {
        run(&format!("ip -n {} link set shore down", self.name));
    }

    fn plug_in(&self) {
        run(&format!("ip -n {} link set shore up", self.name));
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        // The link goes with either of its ends.
        for command in [vec!["link", "delete", &self.link], vec!["netns", "delete", &self.name]] {
            let _ = Command::new("ip").args(command).output();
        }
    }
}

#[tokio::test]
async fn a_network_that_swallows_everything_costs_no_subscriber_and_no_event() {
    let mut island = Island::new(1);
    island.settle(&["redis-server", "--port", "6379", "--protected-mode", "no", "--save", "", "--dir", "/tmp"]);
    let url = format!("redis://{}:6379", island.there);
    while tokio::net::TcpStream::connect((island.there.as_str(), 6379)).await.is_err() {
        tokio::task::yield_now().await;
    }
    let spec = json!({"connections": {"heartbeatInterval": "1s"}, "broker": {"redis": {"external": {"url": url}}}});
    let address = Address::new(url);
    let broker = Redis::new(address, "log".into(), Retention::of_events(100));
    let node = Node::start(stream(&spec), Arc::new(broker) as Arc<dyn Broker>).await;
    let mut reader = node.subscribe("/events").await;
    node.publish(json!({"data": 1})).await;
    assert_eq!(reader.data().await, ["1"]);

    island.unplug();
    let begun = Instant::now();
    let (status, told) = node.post("/publish", None, "{\"data\":2}").await;
    assert!(status == 503 && told.contains("may or may not have been stored"), "{status} {told}");
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    let beats = reader.raw.matches("\n:\n\n").count();
    while reader.raw.matches("\n:\n\n").count() < beats + 2 {
        assert!(reader.more().await);
    }
    assert_eq!(node.get(node.admin, "/readyz").await.0, 200);

    island.plug_in();
    // As a publisher does: until there are ids.
    while node.post("/publish", None, "{\"data\":3}").await.0 != 200 {}
    let mut data = reader.data::<1>().await;
    if data == ["2"] {
        data = reader.data().await; // the one of which nobody knew
    }
    assert_eq!(data, ["3"]);
}

#[tokio::test]
async fn a_subscriber_that_vanished_is_found_by_what_it_does_not_acknowledge() {
    let mut island = Island::new(2);
    // Little is written to it, so that its socket never fills up: only the kernel can tell (TCP_USER_TIMEOUT).
    let spec = json!({
        "fleet": {"replicas": 1}, "broker": {"memory": {}},
        "connections": {"heartbeatInterval": "1s", "maxLag": "1s"},
    });
    let broker = Memory::new(Retention::of_events(100));
    let node = Node::start_at(&island.here, stream(&spec), Arc::new(broker)).await;
    let url = format!("http://{}/events", node.public);
    island.settle(&["curl", "-sN", &url]);
    while node.metric("ssefleet_node_connections").await == 0 {
        tokio::task::yield_now().await;
    }
    island.unplug();
    let begun = Instant::now();
    while node.metric("ssefleet_node_connections").await > 0 {
        assert!(begun.elapsed().as_secs() < 60, "the dead subscriber still has its place");
        tokio::task::yield_now().await;
    }
    assert_eq!(node.metric("ssefleet_node_connections_closed_total{reason=\"dead\"}").await, 1);
}

/// Probes and figures are for the kubelet and Prometheus; what ends streams or shows them is not for the network.
#[tokio::test]
async fn who_is_not_on_this_machine_gets_figures_and_nothing_else_of_the_admin_port() {
    let island = Island::new(3);
    let spec = stream(&json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}}));
    let node = Node::start_at(&island.here, spec, Arc::new(Memory::new(Retention::of_events(100)))).await;
    let ask = async |method: &str, path: &str| {
        let url = format!("http://{}{path}", node.admin);
        let curl = ["netns", "exec", &island.name, "curl", "-s", "-m", "20", "-X", method, "-w", " %{http_code}", &url];
        let answer = Process::new("ip").args(curl).output().await.unwrap();
        String::from_utf8(answer.stdout).unwrap()
    };
    for path in ["/healthz", "/readyz", "/metrics", "/stats"] {
        assert!(ask("GET", path).await.ends_with(" 200"), "{path}");
    }
    for (method, path) in [("GET", "/connections"), ("GET", "/tap?topic=a"), ("POST", "/drain"), ("POST", "/revoke")] {
        let told = ask(method, path).await;
        assert!(told.ends_with(" 401") && told.contains("use kubectl port-forward to the pod"), "{path}: {told}");
    }
    assert_eq!(node.get(node.admin, "/readyz").await.0, 200, "it does not drain");
}
