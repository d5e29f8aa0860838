//! What publishing through the node takes, next to Redis' own benchmark with as many connections.

use std::{io, net::SocketAddr, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use super::Round;
use crate::bench::{
    clients::as_fast_as_possible,
    servers::{Redis, Server},
    table::Row,
};

const BASE: Option<&str> = Some("redis-benchmark");
static ONE: Row = Row { scenario: "publish", figure: "events a second, 1 in flight", unit: "", base: BASE };
static SOME: Row = Row { scenario: "publish", figure: "events a second, 16 in flight", unit: "", base: BASE };
static MANY: Row = Row { scenario: "publish", figure: "events a second, 256 in flight", unit: "", base: BASE };

const LIMIT: Duration = Duration::from_mins(2);

pub async fn run(round: &mut Round<'_>) -> io::Result<()> {
    let redis = Redis::start(round.place, false).await?;
    let node = Server::node(round.place, Some(&redis)).await?;
    for (row, in_flight) in [(&ONE, "1"), (&SOME, "16"), (&MANY, "256")] {
        let alone = redis_benchmark(redis.address, in_flight).await?;
        let published = as_fast_as_possible(round.place, &node, in_flight).await?;
        round.table.record(round.number, row, "redis-benchmark", alone);
        round.table.record(round.number, row, "sse-node", published);
    }
    Ok(())
}

/// XADDs a second of 64 bytes, to a key of its own that is as short as the node's.
async fn redis_benchmark(address: SocketAddr, clients: &str) -> io::Result<f64> {
    let mut command = Command::new("redis-benchmark");
    command.args(["-h", &address.ip().to_string(), "-p", &address.port().to_string()]);
    command.args(["-c", clients, "-n", "20000", "--csv", "XADD", "benchmark", "MAXLEN", "~", "10000", "*", "data"]);
    command.arg(".".repeat(64)).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await;
    let output = output.map_err(|_| io::Error::other("redis-benchmark does not end"))??;
    let text = String::from_utf8_lossy(&output.stdout);
    // The last line is the command, and the requests a second in quotes; commands have no comma here.
    let second = text.lines().last().and_then(|line| line.split("\",\"").nth(1)?.trim_matches('"').parse().ok());
    second.ok_or_else(|| io::Error::other(format!("redis-benchmark said {text:?}")))
}
