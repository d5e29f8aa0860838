//! A primary, its replicas, and three Sentinels that watch them, as fast as a test can wait.

use std::{fmt::Write, path::PathBuf};

use super::{Certificates, Server, Setup, TLS, free_port, strings, until};
use crate::must::Must;

/// What the Sentinels call the primary.
pub const MASTER: &str = "main";

/// Servers and Sentinels.
pub struct Group {
    pub servers: Vec<Server>,
    pub sentinels: Vec<Server>,
    certificates: Option<Certificates>,
}

/// What a group wants to see.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secured<'a> {
    /// Of the default user of the servers, who is also their replicas'.
    pub servers: &'a str,
    /// Of the default user of the Sentinels.
    pub sentinels: &'a str,
}

impl Group {
    /// Of a primary and two replicas, in the open.
    pub async fn start(settings: &[&str]) -> Self {
        Self::launch(None, settings).await
    }

    /// With TLS everywhere, and passwords.
    pub async fn start_secured(secured: Secured<'_>) -> Self {
        Self::launch(Some(secured), &[]).await
    }

    async fn launch(secured: Option<Secured<'_>>, settings: &[&str]) -> Self {
        let certificates = if secured.is_some() { Some(Certificates::make().await) } else { None };
        let dir = certificates.as_ref().map(|certificates| certificates.dir.clone());
        let mut servers: Vec<Server> = Vec::new();
        for _ in 0..3 {
            let mut settings = [&strings(settings)[..], &strings(&["--replica-announce-ip", "localhost"])].concat();
            settings.extend(strings(&["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]));
            if let Some(primary) = servers.first() {
                settings.extend(strings(&["--replicaof", &format!("localhost {}", primary.port())]));
            }
            let password = secured.map(|secured| secured.servers.to_owned());
            servers.push(
                Server::launch(Setup { certificates: dir.clone(), password, settings, ..Setup::default() }).await,
            );
        }
        let primary = servers.first().must("have a primary").port();
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(sentinel(primary, secured, dir.clone()).await);
        }
        let group = Self { servers, sentinels, certificates };
        until("the replicas are in step", async || {
            let info = group.servers[0].command(&["INFO", "replication"]).await;
            info.matches("state=online").count() == 2
        })
        .await;
        for sentinel in &group.sentinels {
            until("the Sentinels know each other and the replicas", async || {
                let told = sentinel.command(&["SENTINEL", "MASTER", MASTER]).await;
                let words: Vec<_> = told.lines().collect();
                let is = |name: &str, value: &str| words.windows(2).any(|pair| pair == [name, value]);
                is("num-other-sentinels", "2") && is("num-slaves", "2") && is("flags", "master")
            })
            .await;
        }
        group
    }

    /// The URL of the Sentinels.
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "rediss" } else { "redis" };
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("localhost:{}", sentinel.port())).collect();
        format!("{scheme}://{}/0", hosts.join(","))
    }

    /// The certificate authority, PEM.
    pub fn authority(&self) -> Option<PathBuf> {
        self.certificates.as_ref().map(|certificates| certificates.dir.join("ca.crt"))
    }

    /// Which of the servers is the primary, as most of the Sentinels say.
    pub async fn primary(&self) -> usize {
        let mut votes = vec![0; self.servers.len()];
        for sentinel in &self.sentinels {
            let told = sentinel.try_command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).await.unwrap_or_default();
            let port = told.lines().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
            if let Some(n) = self.servers.iter().position(|server| server.port() == port) {
                votes[n] += 1;
            }
        }
        votes.iter().position(|votes| *votes >= 2).must("find a primary that most of the Sentinels name")
    }
}

async fn sentinel(primary: u16, secured: Option<Secured<'_>>, certificates: Option<PathBuf>) -> Server {
    let port = free_port();
    let mut config = format!(
        "bind 127.0.0.1\nsentinel resolve-hostnames yes\nsentinel announce-hostnames yes\nsentinel announce-ip localhost\n\
         sentinel monitor {MASTER} localhost {primary} 2\nsentinel down-after-milliseconds {MASTER} 1000\n\
         sentinel failover-timeout {MASTER} 5000\nsentinel parallel-syncs {MASTER} 2\n"
    );
    let mut add = |line: String| writeln!(config, "{line}").must("write a line");
    if let Some(secured) = secured {
        add(format!("port 0\ntls-port {port}"));
        for [name, value] in TLS {
            add(format!("{} {value}", name.trim_start_matches('-')));
        }
        add(format!("sentinel auth-pass {MASTER} {}", secured.servers));
        add(format!("requirepass {0}\nsentinel sentinel-pass {0}", secured.sentinels));
    } else {
        add(format!("port {port}"));
    }
    let mut server = Server::prepare(Setup { port, certificates, sentinel: Some(config), ..Setup::default() });
    // The server itself is told by its configuration.
    server.password = secured.map(|secured| secured.sentinels.to_owned());
    server.restart().await;
    server
}
