//! `swarm`: many subscribers, checked. The work is in [`ssefleet_load::swarm`].

use std::{io, process::ExitCode};

use clap::Parser;
use ssefleet_load::swarm::{self, options::Options, processes};

fn main() -> ExitCode {
    let options = Options::parse();
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("swarm: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every event came once and in order.
fn run(options: Options) -> io::Result<bool> {
    let (part, unordered) = (options.part, options.unordered);
    let readers = options.connections.saturating_sub(options.stall) as u64;
    let findings = if options.processes > 1 { processes::run(&options)? } else { swarm::run(options)? };
    if part {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        println!("{:#}", findings.report(readers));
    }
    Ok(findings.good(unordered))
}
