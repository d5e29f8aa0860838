//! `bench`: ratios of sse-node to other servers, from one run on one machine. The work is in [`ssefleet_load::bench`].

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use ssefleet_load::bench::{
    Place,
    scenarios::{FAULTS, Round, Scenario, run},
    table::Table,
};
use tokio::signal::unix::{SignalKind, signal};

/// Measures sse-node beside a raw epoll loop, a naive server and Nchan, and prints a table.
#[derive(Parser)]
#[command(after_help = "Exit codes: 0 measured, 1 something failed or an event was lost, 2 wrong arguments.

Examples:
  bench --node target/release/sse-node
  bench --node target/release/sse-node --rounds 1 --scale 0.1 delivery storm")]
struct Arguments {
    /// The sse-node to measure, of a release build.
    #[arg(long)]
    node: PathBuf,
    /// What to measure; all, if none is named.
    scenarios: Vec<Scenario>,
    /// Times that each is measured; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Multiplies all connections, for a quick look.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Where every value goes.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut table = Table::default();
    // Whatever ends it, what was started is dropped, and ends.
    let measured = tokio::select! {
        measured = measure(&arguments, &mut table) => measured,
        () = interrupted() => Err(io::Error::other("interrupted")),
    };
    println!("Medians of {} rounds, connections × {}.\n", arguments.rounds, arguments.scale);
    print!("{}", table.markdown());
    let written = fs::write(&arguments.json, format!("{:#}\n", table.json()));
    match measured.and_then(|good| written.map(|()| good)) {
        Ok(good) if good && table.sum(FAULTS, "sse-node") == 0.0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Round after round, so that a slow minute of the machine is not one server's.
async fn measure(arguments: &Arguments, table: &mut Table) -> io::Result<bool> {
    let place = Place::new(&arguments.node)?;
    let all = Scenario::value_variants();
    let scenarios = if arguments.scenarios.is_empty() { all } else { &arguments.scenarios };
    let mut good = true;
    for number in 0..arguments.rounds {
        for &scenario in scenarios {
            eprintln!("bench: round {} of {}, {scenario:?}", number + 1, arguments.rounds);
            good &= run(scenario, Round { place: &place, number, scale: arguments.scale, table }).await;
        }
    }
    Ok(good)
}

async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
