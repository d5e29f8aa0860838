//! How much a CPU can deliver, when publishers never wait.

use std::{io, time::Duration};

use tokio::time::sleep;

use super::{FAULTS, Round, amount};
use crate::bench::{
    clients::{Order, Swarm, faults, publish},
    servers::{Kind, Server},
    table::Row,
};

static DELIVERED: Row =
    Row { scenario: "saturated", figure: "deliveries per CPU second", unit: "", base: Some("Nchan") };
static GAPS: Row = Row { scenario: "saturated", figure: "gaps told to slow readers", unit: "", base: None };
static FAULT: Row = Row { scenario: "saturated", figure: FAULTS, unit: "", base: None };

const SECONDS: &str = "8";
const LIMIT: Duration = Duration::from_mins(2);

pub async fn run(round: &mut Round<'_>, kind: Kind) -> io::Result<()> {
    let connections = round.connections(1_000);
    let server = Server::start(round.place, kind).await?;
    let mut swarm = Swarm::start(round.place, &[&server], connections, &["--unordered"]).await?;
    sleep(Duration::from_secs(1)).await;
    let before = server.process.cost()?;
    let load = ["--as-fast-as-possible", "--in-flight", "8", "--seconds", SECONDS, "--events", "100000000"];
    publish(round.place, &server, &load).await?;
    swarm.until_quiet(LIMIT).await?;
    let after = server.process.cost()?;
    let found = swarm.stop().await?;

    let received = found["received"].as_f64().unwrap_or(0.0);
    let mut record = |row, value| round.table.record(round.number, row, kind.name(), value);
    record(&DELIVERED, received / (amount(after.cpu - before.cpu) / 1e9));
    record(&GAPS, found["gaps"].as_f64().unwrap_or(0.0));
    record(&FAULT, faults(&found, Order::Any));
    Ok(())
}
