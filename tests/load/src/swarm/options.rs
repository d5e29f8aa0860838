//! The command line of `swarm`.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
};

use clap::{Parser, ValueEnum};

/// Keeps many subscribers connected, and checks that each gets every event once and in order.
#[derive(Clone, Debug, Parser)]
#[command(
    args_override_self = true,
    after_help = "Lines on stdin: `storm` (all close and come back at once with Last-Event-ID), `close` and `open` \
                  (the two halves of it), `stop`.
Exit codes: 0 every event came once and in order, 1 not so, 2 wrong arguments.

Examples:
  swarm --url http://127.0.0.1:8080/events --connections 10000 --expect 100
  swarm --url http://127.0.0.1:8080/events --url http://127.0.0.1:8180/events --connections 38000 --processes 2 \\
        --source-ips 127.0.0.1,127.0.0.2 --churn 5 --hold --timeout 1800"
)]
#[allow(clippy::struct_excessive_bools)] // as many switches as the command line has
pub struct Options {
    /// Where to subscribe; given several times, connections are spread.
    #[arg(long, required = true)]
    pub url: Vec<Url>,
    /// Where to come back to; by default any of --url.
    #[arg(long)]
    pub return_url: Vec<Url>,
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// New connections a second; 0 is as fast as they are accepted.
    #[arg(long, default_value_t = 0)]
    pub connect_rate: u64,
    /// How many may wait for their head at the same time.
    #[arg(long, default_value_t = 512)]
    pub connecting: usize,
    /// Addresses to connect from in turn, as one address has 28,000 ports for one server.
    #[arg(long, value_delimiter = ',')]
    pub source_ips: Vec<Ipv4Addr>,
    /// Connection i subscribes to topic t(i mod T); 0 is no topic.
    #[arg(long, default_value_t = 0)]
    pub topics: usize,
    /// End when every connection has so many events; 0 is never.
    #[arg(long, default_value_t = 0)]
    pub expect: u64,
    /// With --expect: stay connected until `stop`.
    #[arg(long)]
    pub hold: bool,
    /// The number of the first event; 0 is whatever comes first.
    #[arg(long, default_value_t = 1)]
    pub first: u64,
    /// Events below this number are a warm-up: checked, but not timed.
    #[arg(long, default_value_t = 0)]
    pub timed_from: u64,
    /// The publisher has several requests in flight: late events are counted but no fault.
    #[arg(long)]
    pub unordered: bool,
    /// What ids look like: `epoch` (must increase), or `any`.
    #[arg(long, value_enum, default_value_t = Ids::Epoch)]
    pub ids: Ids,
    /// Seconds after which it gives up.
    #[arg(long, default_value_t = 60)]
    pub timeout: u64,
    /// What clients accept, such as gzip, which they unpack; by default they say nothing of it.
    #[arg(long, value_name = "CODING")]
    pub accept_encoding: Option<String>,
    /// Begin after this id.
    #[arg(long, value_name = "ID")]
    pub resume: Option<String>,
    /// What every connection shows as its bearer token.
    #[arg(long, value_name = "TOKEN", conflicts_with = "tokens_from")]
    pub token: Option<String>,
    /// A file of tokens, one a line: connection i shows line i mod N.
    #[arg(long, value_name = "FILE")]
    pub tokens_from: Option<PathBuf>,
    /// Of 100 connections, so many are closed each minute and come back.
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    pub churn: f64,
    /// So many connections read nothing after the head.
    #[arg(long, default_value_t = 0)]
    pub stall: usize,
    /// The longest wait before coming back, in milliseconds, whatever `retry:` asks.
    #[arg(long, default_value_t = 3_000)]
    pub retry_cap: u32,
    /// Processes to share the work, as one may have 20,000 sockets.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub processes: u16,
    /// Milliseconds between two lines of progress on stderr.
    #[arg(long, default_value_t = 1_000)]
    pub progress: u64,
    /// One process of several: the result is for the one that started it.
    #[arg(long, hide = true)]
    pub part: bool,
    /// The number of the first connection.
    #[arg(long, hide = true, default_value_t = 0)]
    pub offset: usize,
}

impl Options {
    /// The tokens that connections show in turn; none if they show none.
    pub fn tokens(&self) -> io::Result<Vec<String>> {
        let Some(file) = &self.tokens_from else { return Ok(self.token.iter().cloned().collect()) };
        let text = fs::read_to_string(file)
            .map_err(|error| io::Error::other(format!("--tokens-from {}: {error}", file.display())))?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ids {
    Epoch,
    Any,
}

/// An address without names: `http://127.0.0.1:8080/events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub address: SocketAddrV4,
    /// With the query, if there is one.
    pub path: String,
}

impl Url {
    /// The path, with a topic if there is one.
    pub fn path_of(&self, topic: Option<usize>) -> String {
        let Some(topic) = topic else { return self.path.clone() };
        let and = if self.path.contains('?') { '&' } else { '?' };
        format!("{}{and}topic=t{topic}", self.path)
    }

    /// What a subscriber sends, after an id or from now on, with these fields.
    pub fn request(&self, topic: Option<usize>, last_event_id: &[u8], fields: &[(&str, String)]) -> Vec<u8> {
        let mut request =
            format!("GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n", self.path_of(topic), self.address)
                .into_bytes();
        for (name, value) in fields {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !last_event_id.is_empty() {
            request.extend_from_slice(b"Last-Event-ID: ");
            request.extend_from_slice(last_event_id);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request
    }
}

impl std::str::FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("http://").ok_or("it must begin with http://")?;
        let (address, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let address = address.parse().map_err(|_| format!("{address} is not ADDRESS:PORT, such as 127.0.0.1:8080"))?;
        Ok(Self { address, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_sends_its_fields_and_its_id() {
        let url: Url = "http://127.0.0.1:8080/events".parse().expect("a URL");
        let fields = [("Authorization", "Bearer x.y.z".to_owned())];
        let request = String::from_utf8(url.request(None, b"a-1", &fields)).expect("text");
        assert!(request.ends_with("\r\nAuthorization: Bearer x.y.z\r\nLast-Event-ID: a-1\r\n\r\n"), "{request}");
    }

    #[test]
    fn a_url_is_an_address_and_a_path() {
        let url: Url = "http://127.0.0.1:8080/events".parse().expect("a URL");
        assert_eq!(url.path_of(Some(7)), "/events?topic=t7");
        assert_eq!(url.address.port(), 8080);
        for wrong in ["https://127.0.0.1:1/", "http://localhost:80/", "127.0.0.1:80"] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }
}
