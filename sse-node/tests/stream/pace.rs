//! Nodes that drain at the same time keep to one rate together, by way of the Redis that they share.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::json;
use sse_node::{
    Stop,
    broker::{
        Broker, Retention,
        pace::Ask,
        redis::{Address, Redis},
    },
};
use ssefleet_tests::redis::Server;

use crate::support::{Node, Reader, eventually, stream};

fn log(url: String) -> Arc<Redis> {
    let address = Address::new(url);
    Arc::new(Redis::new(address, "ssefleet:test/quotes".into(), Retention::of_events(100)))
}

async fn nodes(server: &Server, count: usize, rate: u32) -> Vec<Node> {
    let drain = json!({"timeout": "60s", "reconnectsPerSecond": rate});
    let spec = json!({"broker": {"redis": {"external": {"url": server.url()}}}, "fleet": {"drain": drain}});
    join_all((0..count).map(|_| Node::start(stream(&spec), log(server.url())))).await
}

/// When each of the streams ended, after all nodes were asked to stop at once.
async fn ends(nodes: &mut [Node], mut readers: Vec<Reader>) -> Vec<f64> {
    for node in nodes {
        node.stop(Stop::Interrupted);
    }
    let begun = Instant::now();
    let ended = readers.iter_mut().map(async |reader| {
        reader.ended().await;
        begun.elapsed().as_secs_f64()
    });
    let mut ended = join_all(ended).await;
    ended.sort_by(f64::total_cmp);
    ended
}

async fn subscribe(nodes: &[Node], each: usize) -> Vec<Reader> {
    join_all((0..nodes.len() * each).map(|n| nodes[n % nodes.len()].subscribe("/events"))).await
}

/// The most that ended within any second.
fn most(ended: &[f64]) -> usize {
    ended.iter().map(|from| ended.iter().filter(|at| (*from..from + 1.0).contains(at)).count()).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_drain_at_once_keep_the_declared_rate_together() {
    let server = Server::start().await;
    let mut nodes = nodes(&server, 2, 50).await;
    let readers = subscribe(&nodes, 75).await;
    let ended = ends(&mut nodes, readers).await;
    // 150 at 50 a second take 3 s, and each node alone would have taken half of that.
    let (all, most) = (ended[149], most(&ended));
    println!("150 streams of two nodes at 50 a second: {all:.2} s, at most {most} in any second");
    assert!(all > 2.9 && most <= 50, "{all} s, {most} in a second: {ended:?}");
    assert!(all < 6.0, "{all} s: the rate is used");
    assert!(ended[0] < 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_takes_its_share_and_never_none() {
    let mut server = Server::start().await;
    let mut nodes = nodes(&server, 2, 40).await;
    let readers = subscribe(&nodes, 40).await;
    for node in &nodes {
        let told = async || node.get(node.admin, "/stats").await.1.contains("\"nodes\":2");
        eventually("each knows of the other", told).await;
    }
    server.kill().await;
    let ended = ends(&mut nodes, readers).await;
    let (all, most) = (ended[79], most(&ended));
    println!("80 streams of two nodes at 40 a second, without Redis: {all:.2} s, at most {most} in any second");
    assert!(most <= 41, "{most} in a second: {ended:?}");
    assert!(all < 15.0, "{all} s: {ended:?}");
}

#[tokio::test]
async fn turns_follow_each_other_and_nodes_are_counted() {
    let server = Server::start().await;
    let log = log(server.url());
    let turn = async |node: &str, count| {
        let ask = Ask { node: node.into(), count, each: Duration::from_millis(100) };
        log.turn(&ask).await.unwrap()
    };
    let (first, second) = (turn("a", 10).await, turn("b", 5).await);
    assert_eq!((first.after, first.nodes, second.nodes), (Duration::ZERO, 1, 2));
    assert!(second.after > Duration::from_millis(900) && second.after <= Duration::from_secs(1), "{second:?}");
    let third = turn("a", 1).await;
    assert!(third.after > Duration::from_millis(1400) && third.after <= Duration::from_millis(1500), "{third:?}");
    assert_eq!(turn("c", 0).await.after, Duration::ZERO, "who only says that it is there waits for nothing");
    let keys = async || server.command(&["KEYS", "*"]).await;
    assert!(keys().await.contains("{ssefleet:test/quotes}:pace"), "{}", keys().await);
    eventually("what is no longer needed goes by itself", async || !keys().await.contains(":pace")).await;
}
