//! `raw ADDRESS`: the floor to compare with; see [`ssefleet_load::baseline::raw`].

use std::{
    net::{SocketAddr, TcpListener},
    process::ExitCode,
};

use clap::Parser;

/// Serves events with one epoll loop and nothing else.
#[derive(Parser)]
struct Arguments {
    /// Where to listen, for subscribers and publishers.
    #[arg(default_value = "127.0.0.1:8080")]
    address: SocketAddr,
}

fn main() -> ExitCode {
    let address = Arguments::parse().address;
    match TcpListener::bind(address).and_then(ssefleet_load::baseline::raw::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raw: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}
