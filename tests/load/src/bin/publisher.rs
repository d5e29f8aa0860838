//! `publisher`: numbered events at a pace. The work is in [`ssefleet_load::publisher`].

use std::process::ExitCode;

use clap::Parser;
use ssefleet_load::publisher::{self, options::Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match publisher::run(Options::parse()).await {
        Ok((result, good)) => {
            println!("{result:#}");
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("publisher: {error}");
            ExitCode::FAILURE
        }
    }
}
