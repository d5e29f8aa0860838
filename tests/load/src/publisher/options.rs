//! The command line of `publisher`.

use clap::Parser;

use crate::swarm::options::Url;

/// Publishes numbered events, and says how they were acknowledged.
#[derive(Clone, Debug, Parser)]
#[command(after_help = "Exit codes: 0 every event was acknowledged, 1 not so, 2 wrong arguments.

Examples:
  publisher --url http://127.0.0.1:8081/publish --events 100 --rate 20
  publisher --url http://127.0.0.1:8081/publish --as-fast-as-possible --seconds 8 --in-flight 16 --size 64
  publisher --redis 127.0.0.1:6379 --channel sse-broadcast --events 100")]
pub struct Options {
    /// Where to POST.
    #[arg(long, required_unless_present = "redis")]
    pub url: Option<Url>,
    /// PUBLISH on this Redis instead: ADDRESS:PORT.
    #[arg(long, conflicts_with = "url")]
    pub redis: Option<std::net::SocketAddr>,
    #[arg(long, default_value = "sse-broadcast")]
    pub channel: String,
    /// How many events.
    #[arg(long, default_value_t = 100)]
    pub events: u64,
    /// Stop after so many seconds, whatever is left.
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Events a second.
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// Whatever the rate.
    #[arg(long)]
    pub as_fast_as_possible: bool,
    /// Requests at the same time, each on its own connection.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub in_flight: u16,
    /// Bytes of an event's data.
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// Data like that of a service, which compresses as such data does; else most of it is dots.
    #[arg(long)]
    pub orders: bool,
    /// Event k is of topic t(k mod T); 0 is no topic.
    #[arg(long, default_value_t = 0)]
    pub topics: u64,
    /// The number of the first event.
    #[arg(long, default_value_t = 1)]
    pub first: u64,
    /// Send an event again, under one Idempotency-Key, until it is acknowledged.
    #[arg(long)]
    pub retry: bool,
}
