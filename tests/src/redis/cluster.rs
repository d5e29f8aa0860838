//! A Redis Cluster of three primaries, one of them with a replica.

use std::{net::TcpListener, path::PathBuf};

use super::{Certificates, Server, Setup, strings, until};
use crate::must::Must;

/// The nodes of a Cluster.
pub struct Cluster {
    /// Three primaries, then the replica of that which serves [`Cluster::key`].
    pub nodes: Vec<Server>,
    certificates: Option<Certificates>,
    slot: String,
}

impl Cluster {
    /// Of which the node that serves a key has a replica.
    pub async fn start(key: &str) -> Self {
        Self::launch(key, None).await
    }

    /// With TLS everywhere, and a password.
    pub async fn start_secured(key: &str, password: &str) -> Self {
        Self::launch(key, Some(password)).await
    }

    async fn launch(key: &str, password: Option<&str>) -> Self {
        let certificates = if password.is_some() { Some(Certificates::make().await) } else { None };
        let mut nodes = Vec::new();
        for _ in 0..4 {
            let mut settings = strings(&["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]);
            settings.extend(strings(&["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"]));
            settings.extend(strings(&["--cluster-announce-hostname", "localhost"]));
            settings.extend(strings(&["--cluster-preferred-endpoint-type", "hostname"]));
            let setup = Setup {
                port: port_with_a_bus(),
                certificates: certificates.as_ref().map(|certificates| certificates.dir.clone()),
                password: password.map(Into::into),
                settings,
                sentinel: None,
            };
            nodes.push(Server::launch(setup).await);
        }
        let slot = nodes[0].command(&["CLUSTER", "KEYSLOT", key]).await;
        for (node, range) in nodes.iter().zip([["0", "5460"], ["5461", "10922"], ["10923", "16383"]]) {
            node.command(&["CLUSTER", "ADDSLOTSRANGE", range[0], range[1]]).await;
        }
        for node in &nodes[1..] {
            nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string()]).await;
        }
        let cluster = Self { nodes, certificates, slot };
        cluster.agrees(4).await;
        let owner = cluster.id(cluster.owner().await).await;
        cluster.nodes[3].command(&["CLUSTER", "REPLICATE", &owner]).await;
        until("the replica is in step", async || {
            cluster.nodes[3].command(&["INFO", "replication"]).await.contains("master_link_status:up")
        })
        .await;
        cluster.agrees(4).await;
        cluster
    }

    /// Waits until every node knows so many, and all slots are served.
    pub async fn agrees(&self, on: usize) {
        for node in &self.nodes {
            until("the nodes of the Cluster agree", async || {
                let Some(info) = node.try_command(&["CLUSTER", "INFO"]).await else { return true };
                let known = node.command(&["CLUSTER", "NODES"]).await.lines().count();
                info.contains("cluster_state:ok") && known >= on
            })
            .await;
        }
    }

    /// The URL of all nodes.
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "rediss" } else { "redis" };
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("localhost:{}", node.port())).collect();
        format!("{scheme}://{}", hosts.join(","))
    }

    /// The certificate authority, PEM.
    pub fn authority(&self) -> Option<PathBuf> {
        self.certificates.as_ref().map(|certificates| certificates.dir.join("ca.crt"))
    }

    /// The node that serves the key's slot, as it says itself.
    pub async fn owner(&self) -> usize {
        let slot: u16 = self.slot.parse().must("read the slot");
        for (n, node) in self.nodes.iter().enumerate() {
            let Some(told) = node.try_command(&["CLUSTER", "NODES"]).await else { continue };
            let mine = told.lines().find(|line| line.contains("myself")).must("find a node in its own list");
            let serves = mine.split(' ').skip(8).any(|range| {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                from.parse().is_ok_and(|from: u16| from <= slot) && to.parse().is_ok_and(|to: u16| slot <= to)
            });
            if serves {
                return n;
            }
        }
        usize::MAX
    }

    /// What a node is called by the others.
    pub async fn id(&self, node: usize) -> String {
        self.nodes[node].command(&["CLUSTER", "MYID"]).await
    }

    /// Moves the key's slot to another primary, as `redis-cli --cluster reshard` does.
    pub async fn move_slot(&self, to: usize) {
        let from = self.owner().await;
        let (source, target) = (self.id(from).await, self.id(to).await);
        self.nodes[to].command(&["CLUSTER", "SETSLOT", &self.slot, "IMPORTING", &source]).await;
        self.nodes[from].command(&["CLUSTER", "SETSLOT", &self.slot, "MIGRATING", &target]).await;
        let port = self.nodes[to].port().to_string();
        loop {
            let keys = self.nodes[from].command(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "1"]).await;
            let Some(key) = keys.lines().next().filter(|key| !key.is_empty()) else { break };
            self.nodes[from].command(&["MIGRATE", "localhost", &port, key, "0", "5000"]).await;
        }
        for n in [to, from, 3 - to - from] {
            self.nodes[n].command(&["CLUSTER", "SETSLOT", &self.slot, "NODE", &target]).await;
        }
    }
}

/// A free port whose 10,000th after it, where nodes talk to each other, is free too.
fn port_with_a_bus() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let found = (0..1000).map(|_| fastrand::u16(20_000..32_000)).find(|port| free(*port) && free(*port + 10_000));
    found.must("find two free ports")
}
