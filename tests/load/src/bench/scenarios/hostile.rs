//! Those who only want to be there, by the thousand, must cost little memory and nobody else's time.

use std::{io, time::Duration};

use tokio::time::sleep;

use super::{FAULTS, Round, amount};
use crate::bench::{
    clients::{Order, Slowloris, Swarm, faults, publish},
    servers::{Kind, Server},
    table::Row,
};

static LATENCY: Row =
    Row { scenario: "hostile", figure: "p99 of 1,000 among 10,000 attackers", unit: "ms", base: Some("alone") };
static MEMORY: Row = Row { scenario: "hostile", figure: "the node's memory", unit: "MiB", base: None };
static CPU: Row = Row { scenario: "hostile", figure: "CPU meanwhile, of a core", unit: "%", base: None };
static FAULT: Row = Row { scenario: "hostile", figure: FAULTS, unit: "", base: None };

/// So much that the sockets of those who never read are full: 4 MiB each, at most.
const WARM_UP: (u64, &str) = (150, "16384");
const TIMED: u64 = 400;
const RATE: u64 = 20;
const LIMIT: Duration = Duration::from_mins(3);

pub async fn run(round: &mut Round<'_>) -> io::Result<()> {
    let (honest, attackers) = (round.connections(1_000), round.connections(5_000));
    for (column, attackers) in [("alone", 0), ("sse-node", attackers)] {
        let server = Server::start(round.place, Kind::Node).await?;
        let (expect, from) = ((WARM_UP.0 + TIMED).to_string(), (WARM_UP.0 + 1).to_string());
        let arguments = ["--expect", &expect, "--timed-from", &from];
        let mut swarm = Swarm::start(round.place, &[&server], honest, &arguments).await?;
        let mut crowd = None;
        if attackers > 0 {
            let count = attackers.to_string();
            let stalled = Swarm::start(round.place, &[&server], attackers, &["--stall", &count]).await?;
            crowd = Some((stalled, Slowloris::start(round.place, &server, attackers).await?));
        }
        let warm_up = WARM_UP.0.to_string();
        publish(round.place, &server, &["--events", &warm_up, "--rate", "50", "--size", WARM_UP.1]).await?;
        swarm.until("received", honest * WARM_UP.0, LIMIT).await?;
        sleep(Duration::from_secs(2)).await; // what the kernel still has to do for it
        let before = server.process.cost()?;
        let (timed, rate) = (TIMED.to_string(), RATE.to_string());
        publish(round.place, &server, &["--events", &timed, "--first", &from, "--rate", &rate, "--size", "512"])
            .await?;
        swarm.until("complete", honest, LIMIT).await?;
        let after = server.process.cost()?;
        drop(crowd);
        let found = swarm.stop().await?;
        let seconds = amount(TIMED) / amount(RATE);
        let mut record = |row, value| round.table.record(round.number, row, column, value);
        record(&LATENCY, found["latency_ms"]["p99"].as_f64().unwrap_or(f64::NAN));
        record(&MEMORY, amount(after.memory) / 1_024.0);
        record(&CPU, amount(after.cpu - before.cpu) / 1e7 / seconds);
        record(&FAULT, faults(&found, Order::Published));
    }
    Ok(())
}
