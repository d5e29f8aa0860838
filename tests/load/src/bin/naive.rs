//! `naive ADDRESS`: an afternoon's server to compare with; see [`ssefleet_load::baseline::naive`].

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use tokio::net::TcpListener;

/// Serves events with hyper, a broadcast channel and a task for each connection.
#[derive(Parser)]
struct Arguments {
    /// Where to listen, for subscribers and publishers.
    #[arg(default_value = "127.0.0.1:8080")]
    address: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    let address = Arguments::parse().address;
    let served = async { ssefleet_load::baseline::naive::serve(TcpListener::bind(address).await?).await };
    match served.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("naive: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}
