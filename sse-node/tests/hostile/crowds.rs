//! Thousands of connections that want nothing but to be there, beside honest ones.

use std::time::Duration;

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    process::Process,
    support::PATIENCE,
    wire::{hear, say},
};

/// Says a letter on each that is still there.
fn trickle(crowd: &mut Vec<TcpStream>) {
    crowd.retain(|socket| socket.try_write(b"a").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn slowloris_by_the_thousand_keeps_nobody_out_and_is_gone_in_time() {
    let node = Process::start(json!({})).await;
    let mut honest = [node.subscribe().await, node.subscribe().await];
    let before = node.memory();
    let mut crowd = Vec::new();
    for _ in 0..5_000 {
        crowd.push(say(node.public, "GET /events HTTP/1.1\r\nHost: node\r\nX: ").await);
    }
    // No more than 4,096 wait; one who has a head to say is heard at once.
    let crowded = async {
        while node.refused("crowded").await + node.refused("head_late").await < 900 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, crowded).await.expect("all are kept");
    trickle(&mut crowd);
    timeout(Duration::from_secs(5), node.still_serves(&mut honest, "meanwhile")).await.expect("held up");
    let peak = node.memory();
    assert!(peak < before + 64, "from {before} to {peak} MiB");
    let gone = async {
        while !crowd.is_empty() {
            trickle(&mut crowd);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("some stay");
    let (late, crowded) = (node.refused("head_late").await, node.refused("crowded").await);
    assert!(late + crowded >= 5_000 && crowded < 1_000, "{late} came too late, and {crowded} were too many");
    node.still_serves(&mut honest, "after").await;
    let after = node.memory();
    assert!(after < before + 48, "from {before} by {peak} to {after} MiB");
    println!("memory: {before} MiB before, {peak} MiB with 5,000 slowloris, {after} MiB after");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_by_the_thousand_are_as_many_as_there_may_be() {
    let node = Process::start(json!({})).await;
    let mut honest = [node.subscribe().await];
    let before = node.memory();
    let mut crowd = Vec::new();
    for n in 0..6_000 {
        let mut socket = TcpStream::connect(node.public).await.unwrap();
        if n % 3 == 0 {
            // It will say no more, and listens on.
            socket.write_all(b"GET").await.unwrap();
            socket.shutdown().await.unwrap();
        }
        crowd.push(socket);
    }
    node.still_serves(&mut honest, "meanwhile").await;
    let peak = node.memory();
    assert!(peak < before + 64, "from {before} to {peak} MiB");
    drop(crowd);
    node.still_serves(&mut honest, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_never_read_cost_their_place_and_no_more() {
    let node = Process::start(json!({"maxPerPod": 2000, "maxLag": "60s"})).await;
    let mut honest = node.subscribe().await;
    let mut crowd = Vec::new();
    for _ in 0..1_000 {
        crowd.push(say(node.public, "GET /events HTTP/1.1\r\nHost: node\r\n\r\n").await);
    }
    let here = async {
        while node.metric("ssefleet_node_connections").await < 1_001 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, here).await.expect("some are not let in");
    let before = node.memory();
    // 10 MiB for each: as many copies would be 10 GiB.
    let data = "x".repeat(100_000);
    for _ in 0..100 {
        node.publish(&data).await;
        hear(&mut honest, "\n\n").await;
    }
    node.publish("the last").await;
    hear(&mut honest, "data: the last\n").await;
    let peak = node.memory();
    assert!(peak < before + 96, "from {before} to {peak} MiB");
    drop(crowd);
    let gone = async {
        while node.metric("ssefleet_node_connections").await > 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("some stay");
}
