//! What a delivery costs that is compressed, beside one that is not: the same events from the same kind of node.

use std::io;

use super::{FAULTS, LIMIT, Round, amount};
use crate::bench::{
    clients::{Order, Swarm, faults, publish},
    servers::Server,
    table::Row,
};

static CPU: Row =
    Row { scenario: "gzip", figure: "CPU per delivery of 1 KiB of JSON, gzip", unit: "µs", base: Some("identity") };
static BYTES: Row = Row { scenario: "gzip", figure: "bytes per delivery", unit: "", base: Some("identity") };
static FAULT: Row = Row { scenario: "gzip", figure: FAULTS, unit: "", base: None };

const WARM_UP: u64 = 20;
const EVENTS: u64 = 100;
/// 1 KiB has to be more than the threshold.
const TRANSPORT: &str = "  compression: {mode: Transport, thresholdBytes: 512}\n";

pub async fn run(round: &mut Round<'_>) -> io::Result<()> {
    let connections = round.connections(5_000);
    for (column, coding) in [("identity", "identity"), ("sse-node", "gzip")] {
        let server = Server::node_with(round.place, None, TRANSPORT).await?;
        let expect = (WARM_UP + EVENTS).to_string();
        let arguments = ["--expect", &expect, "--accept-encoding", coding];
        let mut swarm = Swarm::start(round.place, &[&server], connections, &arguments).await?;
        let shape = ["--size", "1024", "--orders"];
        publish(round.place, &server, &[&["--events", &WARM_UP.to_string()][..], &shape].concat()).await?;
        swarm.until("received", connections * WARM_UP, LIMIT).await?;
        let (before, read_before) = (server.process.cost()?, swarm.next().await?["bytes"]);
        let (events, first) = (EVENTS.to_string(), (WARM_UP + 1).to_string());
        publish(round.place, &server, &[&["--events", &events, "--first", &first][..], &shape].concat()).await?;
        swarm.until("complete", connections, LIMIT).await?;
        let (after, read) = (server.process.cost()?, swarm.next().await?["bytes"]);
        let found = swarm.stop().await?;
        let deliveries = amount(connections * EVENTS);
        let mut record = |row, value| round.table.record(round.number, row, column, value);
        record(&CPU, amount(after.cpu - before.cpu) / 1_000.0 / deliveries);
        record(&BYTES, amount(read - read_before) / deliveries);
        record(&FAULT, faults(&found, Order::Published));
    }
    Ok(())
}
