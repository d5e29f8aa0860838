//! Readers that never read must cost neither memory nor the others' time.

use std::{io, time::Duration};

use super::{FAULTS, Round, amount};
use crate::bench::{
    clients::{Order, Swarm, faults, publish},
    servers::{Kind, Server},
    table::Row,
};

static MEMORY: Row = Row { scenario: "stalled", figure: "growth of the node's memory", unit: "MiB", base: None };
static LATENCY: Row =
    Row { scenario: "stalled", figure: "p99 of the others, a tenth stalled", unit: "ms", base: Some("none stalled") };
static FAULT: Row = Row { scenario: "stalled", figure: FAULTS, unit: "", base: None };

const EVENTS: u64 = 500;
const LIMIT: Duration = Duration::from_mins(3);

pub async fn run(round: &mut Round<'_>) -> io::Result<()> {
    let connections = round.connections(1_000);
    for (column, stalled) in [("none stalled", 0), ("sse-node", connections / 10)] {
        let server = Server::start(round.place, Kind::Node).await?;
        let (expect, stall) = (EVENTS.to_string(), stalled.to_string());
        let arguments = ["--expect", &expect, "--stall", &stall];
        let mut swarm = Swarm::start(round.place, &[&server], connections, &arguments).await?;
        let before = server.process.cost()?;
        publish(round.place, &server, &["--events", &expect, "--rate", "50", "--size", "4096"]).await?;
        swarm.until("complete", connections - stalled, LIMIT).await?;
        let after = server.process.cost()?;
        let found = swarm.stop().await?;
        let mut record = |row, value| round.table.record(round.number, row, column, value);
        record(&MEMORY, amount(after.memory.saturating_sub(before.memory)) / 1_024.0);
        record(&LATENCY, found["latency_ms"]["p99"].as_f64().unwrap_or(f64::NAN));
        record(&FAULT, faults(&found, Order::Published));
    }
    Ok(())
}
