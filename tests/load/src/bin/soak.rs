//! `soak`: half an hour of churn and Redis' deaths, without a lost or a repeated event. The work is in
//! [`ssefleet_load::bench::soak`].

use std::{io, path::PathBuf, process::ExitCode};

use clap::Parser;
use ssefleet_load::bench::{
    Place,
    soak::{Size, run},
};
use tokio::signal::unix::{SignalKind, signal};

/// Keeps two nodes and a Redis under load and trouble, and checks every event.
#[derive(Parser)]
#[command(
    after_help = "Exit codes: 0 nothing was lost or repeated and memory did not grow, 1 not so, 2 wrong arguments.

Example:
  soak --node target/release/sse-node --seconds 60"
)]
struct Arguments {
    /// The sse-node to run.
    #[arg(long)]
    node: PathBuf,
    #[arg(long, default_value_t = 1_800)]
    seconds: u64,
    #[arg(long, default_value_t = 5_000)]
    connections: u64,
    /// Events a second.
    #[arg(long, default_value_t = 50)]
    rate: u64,
    /// Of 100 connections, so many leave and come back each minute.
    #[arg(long, default_value_t = 5)]
    churn: u64,
    /// The most by which the nodes' memory may have grown; by default 1.15, or anything in less than ten minutes,
    /// when it is still filling its history.
    #[arg(long)]
    growth: Option<f64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { node, seconds, connections, rate, churn, growth } = Arguments::parse();
    let growth = growth.unwrap_or(if seconds < 600 { f64::INFINITY } else { 1.15 });
    let size = Size { seconds, connections, rate, churn, growth };
    // Whatever ends it, what was started is dropped, and ends.
    let result = tokio::select! {
        result = async { run(&Place::new(&node)?, size).await } => result,
        () = interrupted() => Err(io::Error::other("interrupted")),
    };
    match result {
        Ok((result, good)) => {
            println!("{result:#}");
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
