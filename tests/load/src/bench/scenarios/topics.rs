//! What an event for one subscriber costs, when there are many others and when there are few.

use std::{io, time::Duration};

use super::{FAULTS, Round, amount};
use crate::bench::{
    clients::{Order, Swarm, faults, publish},
    servers::{Kind, Server},
    table::Row,
};

static CPU: Row = Row {
    scenario: "topics",
    figure: "CPU per event to one subscriber among thousands",
    unit: "µs",
    base: Some("among 10"),
};
static FAULT: Row = Row { scenario: "topics", figure: FAULTS, unit: "", base: None };

const EVENTS: u64 = 2_000;
const LIMIT: Duration = Duration::from_mins(2);

pub async fn run(round: &mut Round<'_>) -> io::Result<()> {
    for (column, topics) in [("among 10", 10), ("sse-node", round.connections(10_000))] {
        let server = Server::start(round.place, Kind::Node).await?;
        let count = topics.to_string();
        let mut swarm = Swarm::start(round.place, &[&server], topics, &["--topics", &count]).await?;
        let before = server.process.cost()?;
        let events = EVENTS.to_string();
        publish(round.place, &server, &["--as-fast-as-possible", "--events", &events, "--topics", &count]).await?;
        swarm.until("received", EVENTS, LIMIT).await?;
        let after = server.process.cost()?;
        let found = swarm.stop().await?;
        round.table.record(round.number, &CPU, column, amount(after.cpu - before.cpu) / 1_000.0 / amount(EVENTS));
        round.table.record(round.number, &FAULT, column, faults(&found, Order::Published));
    }
    Ok(())
}
