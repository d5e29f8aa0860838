//! `slowloris`: connections that never finish their requests. The work is in [`ssefleet_load::slowloris`].

use std::{net::SocketAddrV4, process::ExitCode, time::Duration};

use clap::Parser;
use ssefleet_load::slowloris::{Attack, run};

/// Holds as many connections as it can without ever asking for anything.
#[derive(Parser)]
struct Arguments {
    /// The server: an address of this machine.
    server: SocketAddrV4,
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
    /// Milliseconds between two letters of a connection.
    #[arg(long, default_value_t = 1_000)]
    pause: u64,
    /// Seconds until it ends.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
}

fn main() -> ExitCode {
    let Arguments { server, connections, pause, timeout } = Arguments::parse();
    if !server.ip().is_loopback() {
        eprintln!("slowloris: {server} is not this machine; it attacks no other");
        return ExitCode::from(2);
    }
    let attack = Attack { server, connections, pause: Duration::from_millis(pause) };
    let tell = |connected, ended| eprintln!("connected={connected} ended={ended}");
    match run(attack, Duration::from_secs(timeout), tell) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slowloris: {error}");
            ExitCode::FAILURE
        }
    }
}
