//! What is measured, one file each. A scenario starts its servers anew, and records figures of one round.

mod burst;
mod confirm;
mod delivery;
mod fleet;
mod gzip;
mod hostile;
mod publish;
mod saturated;
mod stalled;
mod storm;
mod topics;

use std::{io, time::Duration};

use clap::ValueEnum;

use super::{Place, servers::ALL, table::Table};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// CPU and memory of 10,000 connections at 20 events a second, of four servers.
    Delivery,
    /// Deliveries for a second of CPU at 1,000 connections, of four servers.
    Saturated,
    /// One event to one subscriber, among 10,000 and among ten.
    Topics,
    /// CPU and bytes of 5,000 connections that accept gzip, and of as many that don't.
    Gzip,
    /// 95,000 connections over five nodes and one Redis.
    Fleet,
    /// 15,000 clients that come back to another node at once, 200 events behind.
    Storm,
    /// 100 readers that never read, among 1,000.
    Stalled,
    /// 1,000 subscribers beside 5,000 that never finish their request and 5,000 that never read.
    Hostile,
    /// 10,000 connections opened in one burst, with and without tokens to check.
    Burst,
    /// Events a second through HTTP to Redis, and to Redis alone.
    Publish,
    /// Events a second to a Redis with a replica, with and without waiting for it.
    Confirm,
}

/// The figure that has to be 0: of events, over all connections.
pub const FAULTS: &str = "lost, repeated or out of order";

/// The longest that a load may take to arrive.
const LIMIT: Duration = Duration::from_mins(3);

/// One round: what a scenario needs to know.
pub struct Round<'a> {
    pub place: &'a Place,
    pub number: usize,
    /// All connections are multiplied by it, for a quick look.
    pub scale: f64,
    pub table: &'a mut Table,
}

impl Round<'_> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // small and positive
    fn connections(&self, full: u64) -> u64 {
        ((full as f64 * self.scale) as u64).max(1)
    }
}

/// Runs one round of a scenario; a server that fails says why, and the others go on. True if all went well.
pub async fn run(scenario: Scenario, mut round: Round<'_>) -> bool {
    let mut good = true;
    let mut told = |result: io::Result<()>, what: &str| {
        if let Err(error) = result {
            eprintln!("bench: {scenario:?}, {what}: {error}");
            good = false;
        }
    };
    match scenario {
        Scenario::Delivery => {
            for kind in ALL {
                told(delivery::run(&mut round, kind).await, kind.name());
            }
        }
        Scenario::Saturated => {
            for kind in ALL {
                told(saturated::run(&mut round, kind).await, kind.name());
            }
        }
        Scenario::Topics => told(topics::run(&mut round).await, "sse-node"),
        Scenario::Gzip => told(gzip::run(&mut round).await, "sse-node"),
        Scenario::Fleet => told(fleet::run(&mut round).await, "sse-node"),
        Scenario::Storm => told(storm::run(&mut round).await, "sse-node"),
        Scenario::Stalled => told(stalled::run(&mut round).await, "sse-node"),
        Scenario::Hostile => told(hostile::run(&mut round).await, "sse-node"),
        Scenario::Burst => told(burst::run(&mut round).await, "sse-node"),
        Scenario::Publish => told(publish::run(&mut round).await, "sse-node"),
        Scenario::Confirm => told(confirm::run(&mut round).await, "sse-node"),
    }
    good
}

/// How much a count is, for a figure.
#[allow(clippy::cast_precision_loss)] // of what is counted here, a float holds all that a table shows
pub fn amount(count: u64) -> f64 {
    count as f64
}
