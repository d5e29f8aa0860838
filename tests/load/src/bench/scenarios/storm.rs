//! A node is gone, and all its clients come to the other one at once, 200 events behind.

use std::{io, time::Duration};

use super::{FAULTS, Round, amount};
use crate::bench::{
    clients::{Order, Swarm, faults, publish},
    redis,
    servers::{Redis, Server},
    table::Row,
};

static CAUGHT_UP: Row = Row { scenario: "storm", figure: "until all clients have caught up", unit: "s", base: None };
static COMMANDS: Row = Row { scenario: "storm", figure: "commands to Redis meanwhile", unit: "", base: None };
static CPU: Row = Row { scenario: "storm", figure: "CPU per client that comes back", unit: "µs", base: None };
static FAULT: Row = Row { scenario: "storm", figure: FAULTS, unit: "", base: None };

const BEHIND: u64 = 200;
const LIMIT: Duration = Duration::from_mins(4);

pub async fn run(round: &mut Round<'_>) -> io::Result<()> {
    let redis = Redis::start(round.place, false).await?;
    let left = Server::node(round.place, Some(&redis)).await?;
    let right = Server::node(round.place, Some(&redis)).await?;
    let clients = round.connections(15_000);
    let (behind, expect) = (BEHIND.to_string(), (BEHIND + 1).to_string());
    let arguments = ["--expect", &expect, "--return-url", &right.events];
    let mut swarm = Swarm::start(round.place, &[&left], clients, &arguments).await?;
    publish(round.place, &left, &["--events", "1"]).await?; // all have an id to come back with
    swarm.until("received", clients, LIMIT).await?;
    swarm.tell("close").await?;
    publish(round.place, &left, &["--as-fast-as-possible", "--events", &behind, "--first", "2"]).await?;
    let (commands, before) = (redis::commands(redis.address)?, right.process.cost()?);
    swarm.tell("open").await?;
    swarm.until("complete", clients, LIMIT).await?;
    let (commands, after) = (redis::commands(redis.address)? - commands, right.process.cost()?);
    let found = swarm.stop().await?;

    let mut record = |row, value| round.table.record(round.number, row, "sse-node", value);
    record(&CAUGHT_UP, found["caught_up_ms"].as_f64().unwrap_or(f64::NAN) / 1_000.0);
    record(&COMMANDS, amount(commands));
    record(&CPU, amount(after.cpu - before.cpu) / 1_000.0 / amount(clients));
    record(&FAULT, faults(&found, Order::Published));
    Ok(())
}
