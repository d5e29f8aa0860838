//! What a delivery costs, and a connection: the same load on each server.

use std::{io, time::Duration};

use tokio::time::sleep;

use super::{FAULTS, Round, amount};
use crate::bench::{
    clients::{Order, Swarm, faults, publish},
    servers::{Kind, Server},
    table::Row,
};

static CPU: Row = Row { scenario: "delivery", figure: "CPU per delivery", unit: "µs", base: Some("raw") };
static BROADCAST: Row = Row {
    scenario: "delivery",
    figure: "p99 until the last connection has it, 5 events/s",
    unit: "ms",
    base: Some("raw"),
};
static IDLE: Row = Row { scenario: "delivery", figure: "memory per idle connection", unit: "KiB", base: None };
static LOADED: Row =
    Row { scenario: "delivery", figure: "memory per connection after the load", unit: "KiB", base: None };
static FAULT: Row = Row { scenario: "delivery", figure: FAULTS, unit: "", base: None };

const WARM_UP: u64 = 20;
const EVENTS: u64 = 100;
/// Timed at a pace that one loop can keep with the swarm on the same two cores: 20/s are more than it can, and the
/// time would be that of its queue.
const TIMED: u64 = 40;
const PACE: &str = "5";
const LIMIT: Duration = Duration::from_mins(3);

pub async fn run(round: &mut Round<'_>, kind: Kind) -> io::Result<()> {
    let connections = round.connections(10_000);
    let server = Server::start(round.place, kind).await?;
    let empty = server.process.cost()?;
    let (expect, timed_from) = ((WARM_UP + EVENTS + TIMED).to_string(), (WARM_UP + EVENTS + 1).to_string());
    let arguments = ["--expect", &expect, "--timed-from", &timed_from];
    let mut swarm = Swarm::start(round.place, &[&server], connections, &arguments).await?;
    sleep(Duration::from_secs(1)).await; // what a server does after a connection
    let idle = server.process.cost()?;
    publish(round.place, &server, &["--events", &WARM_UP.to_string()]).await?;
    swarm.until("received", connections * WARM_UP, LIMIT).await?;
    let before = server.process.cost()?;
    let first = (WARM_UP + 1).to_string();
    publish(round.place, &server, &["--events", &EVENTS.to_string(), "--first", &first]).await?;
    swarm.until("received", connections * (WARM_UP + EVENTS), LIMIT).await?;
    let after = server.process.cost()?;
    let timed = TIMED.to_string();
    publish(round.place, &server, &["--events", &timed, "--first", &timed_from, "--rate", PACE]).await?;
    swarm.until("complete", connections, LIMIT).await?;
    let found = swarm.stop().await?;

    let per_connection = |memory: u64| amount(memory.saturating_sub(empty.memory)) / amount(connections);
    let mut record = |row, value| round.table.record(round.number, row, kind.name(), value);
    record(&CPU, amount(after.cpu - before.cpu) / 1_000.0 / amount(connections * EVENTS));
    record(&BROADCAST, found["broadcast_ms"]["p99"].as_f64().unwrap_or(f64::NAN));
    record(&IDLE, per_connection(idle.memory));
    record(&LOADED, per_connection(after.memory));
    record(&FAULT, faults(&found, Order::Published));
    Ok(())
}
