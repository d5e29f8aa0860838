//! The swarm and the publisher as child processes, told and listened to.

use std::{
    collections::HashMap,
    io,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, Command},
    sync::watch,
    time::{timeout, timeout_at},
};

use super::{
    Place,
    servers::{Kind, Server},
};
use crate::swarm::processes::figures;

/// The longest a swarm or a publisher may live, in seconds, unless it is told otherwise.
const LIFE: u64 = 600;

/// The figures of a line of progress.
type Progress = HashMap<String, u64>;

pub struct Swarm {
    child: Child,
    commands: ChildStdin,
    progress: watch::Receiver<Progress>,
    pub connections: u64,
}

impl Swarm {
    /// Starts one that stays until it is told to stop; returns when all are connected.
    pub async fn start(place: &Place, servers: &[&Server], connections: u64, more: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(place.tools.join("swarm"));
        for server in servers {
            command.args(["--url", &server.events]);
        }
        if servers.iter().any(|server| server.kind != Kind::Node) {
            command.args(["--ids", "any"]);
        }
        command.args(["--connections", &connections.to_string(), "--hold", "--progress", "50"]);
        command.args(["--timeout", &LIFE.to_string()]).args(more);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (Some(commands), Some(errors)) = (child.stdin.take(), child.stderr.take()) else {
            return Err(io::Error::other("a swarm without pipes"));
        };
        let mut swarm = Self { child, commands, progress: follow(errors), connections };
        swarm.until("joined", connections, Duration::from_mins(3)).await?;
        Ok(swarm)
    }

    /// Waits until a figure of its progress is as high.
    pub async fn until(&mut self, name: &str, value: u64, limit: Duration) -> io::Result<()> {
        let begun = Instant::now();
        let mut last = Progress::new();
        while last.get(name).is_none_or(|&now| now < value) {
            last = timeout_at((begun + limit).into(), self.next())
                .await
                .map_err(|_| io::Error::other(format!("{name} is not {value} after {limit:?}: {last:?}")))??;
        }
        Ok(())
    }

    /// Waits until nothing more is received for two seconds.
    pub async fn until_quiet(&mut self, limit: Duration) -> io::Result<()> {
        let begun = Instant::now();
        let (mut received, mut since) = (0, Instant::now());
        while since.elapsed() < Duration::from_secs(2) && begun.elapsed() < limit {
            let now = self.next().await?.get("received").copied().unwrap_or(0);
            if now != received {
                (received, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// The next figures of its progress.
    pub async fn next(&mut self) -> io::Result<Progress> {
        self.progress.changed().await.map_err(|_| io::Error::other("the swarm has ended"))?;
        Ok(self.progress.borrow_and_update().clone())
    }

    pub async fn tell(&mut self, command: &str) -> io::Result<()> {
        self.commands.write_all(format!("{command}\n").as_bytes()).await?;
        self.commands.flush().await
    }

    /// Ends it; what it found.
    pub async fn stop(mut self) -> io::Result<Value> {
        self.tell("stop").await?;
        let Self { child, commands, .. } = self;
        let output = timeout(Duration::from_mins(1), child.wait_with_output()).await;
        drop(commands);
        result(&output.map_err(|_| io::Error::other("the swarm does not end"))??.stdout)
    }
}

/// Connections that never finish their requests; they end with this value.
pub struct Slowloris {
    _child: Child,
}

impl Slowloris {
    /// Returns when nearly all are connected; the server may end some all the time.
    pub async fn start(place: &Place, server: &Server, connections: u64) -> io::Result<Self> {
        let address = server.events.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let mut command = Command::new(place.tools.join("slowloris"));
        command.args([address, "--connections", &connections.to_string(), "--timeout", &LIFE.to_string()]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let Some(errors) = child.stderr.take() else { return Err(io::Error::other("a slowloris without a pipe")) };
        let mut progress = follow(errors);
        let here =
            progress.wait_for(|figures| figures.get("connected").is_some_and(|&now| now >= connections * 9 / 10));
        let here = timeout(Duration::from_mins(1), here).await;
        here.map_err(|_| io::Error::other("the slowloris does not get in"))?.map_err(io::Error::other)?;
        Ok(Self { _child: child })
    }
}

/// Reads a swarm's progress all the time, as it would wait for a pipe that nobody reads.
fn follow(errors: ChildStderr) -> watch::Receiver<Progress> {
    let (sender, receiver) = watch::channel(Progress::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(errors).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match figures(&line) {
                Some(figures) => drop(sender.send_replace(figures.into_iter().collect())),
                None => eprintln!("{line}"),
            }
        }
    });
    receiver
}

/// Publishes; what the publisher says.
pub async fn publish(place: &Place, server: &Server, arguments: &[&str]) -> io::Result<Value> {
    publish_within(place, server, arguments, Duration::from_secs(LIFE)).await
}

/// The same, for as long as is said.
pub async fn publish_within(place: &Place, server: &Server, arguments: &[&str], limit: Duration) -> io::Result<Value> {
    let mut command = Command::new(place.tools.join("publisher"));
    command.args(["--url", &server.publish]).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = timeout(limit, command.kill_on_drop(true).output()).await;
    result(&output.map_err(|_| io::Error::other("the publisher does not end"))??.stdout)
}

/// Publishes for some seconds with so many requests under way, none of which may be refused; events a second.
pub async fn as_fast_as_possible(place: &Place, server: &Server, in_flight: &str) -> io::Result<f64> {
    let load = ["--as-fast-as-possible", "--seconds", "4", "--events", "100000000", "--in-flight", in_flight];
    let published = publish(place, server, &load).await?;
    if published["refused"] != 0 {
        return Err(io::Error::other(format!("events were refused: {}", published["reason"])));
    }
    Ok(published["events_per_second"].as_f64().unwrap_or(0.0))
}

fn result(stdout: &[u8]) -> io::Result<Value> {
    serde_json::from_slice(stdout).map_err(|error| io::Error::other(format!("a client without a result: {error}")))
}

/// Whether the order of events was given: with several requests in flight it is the server's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Published,
    Any,
}

/// How many events a swarm found lost, repeated or out of order.
pub fn faults(found: &Value, order: Order) -> f64 {
    let count = |name: &str| found[name].as_f64().unwrap_or(0.0);
    let disordered = if order == Order::Published { count("out_of_order") } else { 0.0 };
    count("lost") + count("duplicated") + count("ids_not_increasing") + disordered
}
