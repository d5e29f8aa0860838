//! The contract by way of Sentinels and of a Cluster, with TLS, passwords and the user that docs/redis.md describes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sse_node::broker::{
    Broker, Retention,
    redis::{Address, Redis, Topology},
};
use ssefleet_crds::validated::Confirm;
use ssefleet_tests::redis::{
    Server,
    cluster::Cluster,
    sentinel::{Group, MASTER, Secured},
};

use crate::{
    broadcast, contract, once, revocations,
    support::{KEY, MAX_EVENTS, append, seqs},
};

/// Files of Secrets.
struct Secrets(tempfile::TempDir);

impl Secrets {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Makes the user that docs/redis.md describes, word for word.
pub async fn documented_user(server: &Server) {
    let page = include_str!("../../../docs/redis.md");
    let begin = page.find("ACL SETUSER").unwrap();
    let command = &page[begin..begin + page[begin..].find("```").unwrap()];
    let command = command.replace("PASSWORD", "secret");
    let command: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(server.command(&command).await, "OK");
}

fn confirmed(replicas: u32) -> Confirm {
    Confirm { replicas, timeout: Duration::from_secs(5) }
}

async fn keeps_all_of_it(broker: &dyn Fn() -> Redis, say: &Server) {
    let shared = || Arc::new(broker()) as Arc<dyn Broker>;
    contract::keeps_the_contract(shared()).await;
    once::stores_a_retry_once_after(contract::LAST, shared(), shared()).await;
    revocations::tells_what_was_revoked(shared(), shared()).await;
    let listener = broker();
    let mut broadcasts = listener.broadcasts("sse-broadcast", 100).unwrap();
    let (heard, ()) = tokio::join!(broadcast::hear(&mut *broadcasts), broadcast::say(say, "hello"));
    assert_eq!(heard, "hello");
}

#[tokio::test]
async fn sentinels_with_tls_passwords_and_a_user_of_ones_own_keep_the_contract() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let group = Group::start_secured(Secured { servers: "of-the-servers", sentinels: "of-the-sentinels" }).await;
    for server in &group.servers {
        documented_user(server).await;
    }
    let secrets = Secrets::new();
    let address = Address {
        topology: Topology::Sentinel {
            master_name: MASTER.into(),
            username: None,
            password: Some(secrets.file("sentinel", "of-the-sentinels\n")),
        },
        username: Some(secrets.file("user", "ssefleet")),
        password: Some(secrets.file("password", "secret\n")),
        ca: group.authority(),
        ..Address::new(group.url())
    };
    for replicas in [0, 2] {
        group.servers[0].command(&["FLUSHALL"]).await;
        let broker =
            || Redis::new(address.clone(), KEY.into(), Retention::of_events(MAX_EVENTS)).confirmed(confirmed(replicas));
        keeps_all_of_it(&broker, &group.servers[0]).await;
    }
}

#[tokio::test]
async fn a_cluster_with_tls_and_a_user_of_ones_own_keeps_the_contract() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = Cluster::start_secured(KEY, "of-the-nodes").await;
    for node in &cluster.nodes {
        documented_user(node).await;
    }
    let secrets = Secrets::new();
    let address = Address {
        topology: Topology::Cluster,
        username: Some(secrets.file("user", "ssefleet")),
        password: Some(secrets.file("password", "secret")),
        ca: cluster.authority(),
        ..Address::new(cluster.url())
    };
    let broker = || Redis::new(address.clone(), KEY.into(), Retention::of_events(MAX_EVENTS)).confirmed(confirmed(1));
    let owner = cluster.owner().await;
    keeps_all_of_it(&broker, &cluster.nodes[owner]).await;
}

#[tokio::test]
async fn a_slot_that_moves_under_publishers_loses_and_repeats_nothing() {
    let cluster = Cluster::start(KEY).await;
    let address = Address { topology: Topology::Cluster, ..Address::new(cluster.url()) };
    let broker = || Redis::new(address.clone(), KEY.into(), Retention::of_events(100_000));
    let (one, two) = (broker(), broker());
    let begin = one.open().await.unwrap().last;
    let mut tail = two.tail(begin);
    let publish = async {
        let mut positions = Vec::new();
        for n in 0..400 {
            positions.extend(append(&one, [n]).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        positions
    };
    let moving = async {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            cluster.move_slot((cluster.owner().await + 1) % 3).await;
        }
    };
    let (positions, ()) = tokio::join!(publish, moving);
    // Each was taken at its first try: who publishes while the slot moves waits.
    assert_eq!(seqs(&positions), (1..=400).collect::<Vec<_>>());
    let mut followed = Vec::new();
    while followed.len() < 400 {
        match crate::support::news(&mut *tail).await {
            sse_node::broker::Tailed::Events(events) => followed.extend(events.iter().map(|event| event.position)),
            reset @ sse_node::broker::Tailed::Reset(_) => panic!("a reset out of nowhere: {reset:?}"),
        }
    }
    assert_eq!(followed, positions);
}
