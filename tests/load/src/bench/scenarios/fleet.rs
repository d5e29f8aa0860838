//! More connections than a node may have: five nodes on one Redis, against one of them alone.

use std::{io, time::Duration};

use super::{FAULTS, Round, amount};
use crate::bench::{
    clients::{Order, Swarm, faults, publish},
    servers::{Redis, Server},
    table::Row,
};

static CPU: Row =
    Row { scenario: "fleet", figure: "CPU per delivery, five nodes", unit: "µs", base: Some("one node") };
static CONNECTIONS: Row = Row { scenario: "fleet", figure: "connections", unit: "", base: None };
static FAULT: Row = Row { scenario: "fleet", figure: FAULTS, unit: "", base: None };

const EVENTS: u64 = 20;
const LIMIT: Duration = Duration::from_mins(4);

pub async fn run(round: &mut Round<'_>) -> io::Result<()> {
    let redis = Redis::start(round.place, false).await?;
    for (column, nodes) in [("one node", 1), ("sse-node", 5)] {
        let mut servers = Vec::new();
        for _ in 0..nodes {
            servers.push(Server::node(round.place, Some(&redis)).await?);
        }
        let connections = round.connections(19_000) * nodes;
        let servers: Vec<&Server> = servers.iter().collect();
        let (expect, processes) = (EVENTS.to_string(), nodes.to_string());
        let arguments = ["--expect", &expect, "--processes", &processes];
        let mut swarm = Swarm::start(round.place, &servers, connections, &arguments).await?;
        let before = cpu(&servers)?;
        publish(round.place, servers[0], &["--events", &expect, "--rate", "2"]).await?;
        swarm.until("complete", connections, LIMIT).await?;
        let after = cpu(&servers)?;
        let found = swarm.stop().await?;
        let mut record = |row, value| round.table.record(round.number, row, column, value);
        record(&CPU, amount(after - before) / 1_000.0 / amount(connections * EVENTS));
        record(&CONNECTIONS, found["connected"].as_f64().unwrap_or(0.0));
        record(&FAULT, faults(&found, Order::Published));
    }
    Ok(())
}

fn cpu(servers: &[&Server]) -> io::Result<u64> {
    servers.iter().map(|server| Ok(server.process.cost()?.cpu)).sum()
}
