//! The primary fails under publishers: what was acknowledged is kept and comes to every subscriber, once and in order,
//! and no subscriber is disconnected.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sse_node::broker::{
    Broker, Retention,
    redis::{Address, Redis, Topology},
};
use ssefleet_crds::validated::Confirm;
use ssefleet_tests::redis::{
    cluster::Cluster,
    sentinel::{Group, MASTER},
};
use tokio::time::{sleep, timeout};

use crate::support::{Node, Reader, stream};

const EVERY: Duration = Duration::from_millis(5);
const KEY: &str = "ssefleet:default/quotes";

fn broker(address: &Address, replicas: u32) -> Redis {
    let confirm = Confirm { replicas, timeout: Duration::from_millis(500) };
    Redis::new(address.clone(), KEY.into(), Retention::of_events(100_000)).confirmed(confirm)
}

fn sentinels(group: &Group) -> Address {
    let topology = Topology::Sentinel { master_name: MASTER.into(), username: None, password: None };
    Address { topology, ..Address::new(group.url()) }
}

async fn node(address: &Address, replicas: u32) -> Node {
    let spec = json!({"connections": {"heartbeatInterval": "1s"}, "broker": {"redis": {"external": {"url": "redis://elsewhere"}}}});
    Node::start(stream(&spec), Arc::new(broker(address, replicas))).await
}

/// What became of events that were published 200 times a second.
struct Published {
    /// Those that were acknowledged, with their ids, in the order in which they were sent.
    acknowledged: Vec<(u64, String)>,
    refused: usize,
    /// The longest time in which nothing was acknowledged.
    pause: Duration,
}

/// Publishes until an end, and until something is acknowledged again after it.
async fn publish(node: &Node, end: impl Future<Output = ()>) -> Published {
    tokio::pin!(end);
    let (mut under_way, mut n, mut ending) = (tokio::task::JoinSet::new(), 0, None);
    let mut published = Published { acknowledged: Vec::new(), refused: 0, pause: Duration::ZERO };
    let mut last = Instant::now();
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = &mut end, if ending.is_none() => ending = Some(n),
            _ = ticks.tick() => {
                let (publish, number) = (node.publish, n);
                under_way.spawn(async move { (number, crate::support::post(publish, number).await) });
                n += 1;
            }
            Some(Ok((number, (status, body)))) = under_way.join_next() => match status {
                200 => {
                    published.pause = published.pause.max(last.elapsed());
                    last = Instant::now();
                    let body: Value = serde_json::from_str(&body).unwrap();
                    published.acknowledged.push((number, body["ids"][0].as_str().unwrap().into()));
                    if ending.is_some_and(|end| number >= end) {
                        break;
                    }
                }
                503 => published.refused += 1,
                other => panic!("{other}: {body}"),
            }
        }
        assert!(
            last.elapsed() < Duration::from_mins(1),
            "nothing is acknowledged any more: {body}",
            body = stats(node).await
        );
    }
    // The rest may or may not be acknowledged; what is, counts.
    while let Some(Ok((number, (status, body)))) = under_way.join_next().await {
        if status == 200 {
            let body: Value = serde_json::from_str(&body).unwrap();
            published.acknowledged.push((number, body["ids"][0].as_str().unwrap().into()));
        }
    }
    published
}

async fn stats(node: &Node) -> String {
    node.get(node.admin, "/stats").await.1
}

/// Every acknowledged event comes to a subscriber, under its id, once and in order; with it may come others, whose
/// publishers were told that they can't know.
async fn gets_all(mut reader: Reader, published: &Published) {
    let mut wanted = published.acknowledged.clone();
    wanted.sort_by_key(|(_, id)| id.split_once('-').map(|(_, seq)| seq.parse::<u64>().unwrap()));
    let mut wanted = wanted.into_iter().peekable();
    let mut last = 0;
    while wanted.peek().is_some() {
        let event = timeout(Duration::from_mins(1), reader.next()).await.expect("acknowledged events do not come");
        assert_eq!(event.event, "message", "{event:?} after {last}");
        let seq: u64 = event.id.split_once('-').unwrap().1.parse().unwrap();
        assert!(seq > last, "{event:?} after {last}");
        last = seq;
        if let Some((number, _)) = wanted.next_if(|(_, id)| *id == event.id) {
            assert_eq!(event.data, number.to_string());
        }
    }
}

fn tell(what: &str, published: &Published) {
    let Published { acknowledged, refused, pause } = published;
    println!("{what}: {} acknowledged, {refused} refused, nothing for {} ms", acknowledged.len(), pause.as_millis());
}

#[tokio::test]
async fn a_primary_that_is_killed_loses_nothing_that_a_replica_confirmed() {
    let mut group = Group::start(&[]).await;
    let address = sentinels(&group);
    let nodes = [node(&address, 1).await, node(&address, 1).await];
    let readers = [nodes[0].subscribe("/events").await, nodes[1].subscribe("/events").await];
    let dying = async {
        sleep(Duration::from_secs(2)).await;
        group.servers[0].kill().await;
        // Until another one is the primary.
        while group.sentinels[0]
            .command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER])
            .await
            .ends_with(&group.servers[0].port().to_string())
        {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let published = publish(&nodes[0], dying).await;
    tell("primary killed, confirmed by one", &published);
    assert!(published.refused > 0, "it was never away");
    for reader in readers {
        gets_all(reader, &published).await;
    }
    for node in &nodes {
        assert!(stats(node).await.contains("\"state\":\"Ready\""), "{}", stats(node).await);
    }
}

/// As a machine that is cut off: it is still the primary in its own eyes when it comes back.
#[tokio::test]
async fn a_primary_that_was_cut_off_acknowledges_nothing_when_it_is_back() {
    let group = Group::start(&[]).await;
    let address = sentinels(&group);
    let nodes = [node(&address, 1).await, node(&address, 1).await];
    let readers = [nodes[0].subscribe("/events").await, nodes[1].subscribe("/events").await];
    // One who goes on with the old one, whatever the Sentinels say.
    let faithful = broker(&Address::new(group.servers[0].url()), 1);
    faithful.open().await.unwrap();
    let cut_off = async {
        sleep(Duration::from_secs(1)).await;
        group.servers[0].freeze(true);
        while group.primary().await == 0 {
            sleep(Duration::from_millis(50)).await;
        }
        group.servers[0].freeze(false);
        let told = appends(&faithful, 20).await;
        assert!(told.iter().all(Result::is_err), "{told:?}");
    };
    let published = publish(&nodes[0], cut_off).await;
    tell("primary cut off and back, confirmed by one", &published);
    for reader in readers {
        gets_all(reader, &published).await;
    }
}

async fn appends(broker: &Redis, times: usize) -> Vec<Result<(), String>> {
    let mut told = Vec::new();
    for _ in 0..times {
        let event = sse_node::event::NewEvent { topic: "t".into(), event: None, data: "split".into(), ttl: None };
        told.push(broker.append(vec![event]).await.map(drop).map_err(|error| error.to_string()));
    }
    told
}

/// Without confirmation the end may be lost; nodes that have seen it say so, and give no id twice.
#[tokio::test]
async fn an_end_that_is_lost_with_its_primary_is_told_by_a_reset() {
    let mut group = Group::start(&[]).await;
    let address = sentinels(&group);
    let node = node(&address, 0).await;
    let mut reader = node.subscribe("/events").await;
    let kept = node.publish(json!({"data": "kept"})).await.remove(0);
    assert_eq!(reader.data().await, ["kept"]);
    // The replicas are down: what comes now is on the primary only.
    group.servers[1].kill().await;
    group.servers[2].kill().await;
    let lost = node.publish(json!({"data": "lost"})).await.remove(0);
    assert_eq!(reader.data().await, ["lost"]);
    group.servers[0].kill().await;
    group.servers[1].restart().await;
    group.servers[2].restart().await;

    let after = async {
        loop {
            let (status, body) = crate::support::post(node.publish, 7).await;
            if status == 200 {
                return serde_json::from_str::<Value>(&body).unwrap()["ids"][0].as_str().unwrap().to_owned();
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let after = timeout(Duration::from_mins(1), after).await.expect("publishing never goes on");
    let epoch = |id: &str| id.split_once('-').unwrap().0.to_owned();
    assert_eq!(epoch(&kept), epoch(&lost));
    assert_ne!(epoch(&lost), epoch(&after));
    assert_eq!(timeout(Duration::from_secs(30), reader.next()).await.unwrap().event, "reset");
    let event = reader.next().await;
    assert_eq!((event.id, event.data.as_str()), (after, "7"));
}

#[tokio::test]
async fn a_node_of_a_cluster_that_is_killed_loses_nothing_that_its_replica_confirmed() {
    let mut cluster = Cluster::start(KEY).await;
    let address = Address { topology: Topology::Cluster, ..Address::new(cluster.url()) };
    let nodes = [node(&address, 1).await, node(&address, 1).await];
    let readers = [nodes[0].subscribe("/events").await, nodes[1].subscribe("/events").await];
    let dying = async {
        sleep(Duration::from_secs(2)).await;
        let owner = cluster.owner().await;
        cluster.nodes[owner].kill().await;
        while cluster.owner().await != 3 {
            sleep(Duration::from_millis(50)).await;
        }
        // It comes back as the replica of its successor: until then nobody could confirm.
        cluster.nodes[owner].restart().await;
    };
    let published = publish(&nodes[0], dying).await;
    tell("node of a cluster killed, confirmed by one", &published);
    assert!(published.refused > 0, "it was never away");
    for reader in readers {
        gets_all(reader, &published).await;
    }
}
