//! Where Redis is, by its URL, and what it wants to see.

use std::{fmt, net::SocketAddr, path::PathBuf};

use ssefleet_crds::part::Part;

use crate::broker::{BrokerError, Trouble};

/// Where Redis is and what it wants to see. Secrets are files, read anew at each connection, so that a
/// password that was changed is picked up.
#[derive(Clone, Debug)]
pub struct Address {
    /// `redis://HOST:PORT,…/DB`, or `rediss://` for TLS; without credentials.
    pub url: String,
    pub topology: Topology,
    pub username: Option<PathBuf>,
    pub password: Option<PathBuf>,
    /// PEM. None: the system's authorities.
    pub ca: Option<PathBuf>,
}

/// What is behind the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    Standalone,
    /// Sentinels, what they call the primary, and what they themselves want to see.
    Sentinel {
        master_name: String,
        username: Option<PathBuf>,
        password: Option<PathBuf>,
    },
    Cluster,
}

/// A host, as certificates name it, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub port: u16,
    /// One of its addresses. None: whichever answers.
    pub at: Option<SocketAddr>,
}

impl Host {
    pub fn new(name: impl Into<String>, port: u16) -> Self {
        Self { name: name.into(), port, at: None }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port, .. } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub hosts: Vec<Host>,
    pub tls: bool,
    pub db: i64,
}

impl Address {
    /// One Redis that wants to see nothing.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), topology: Topology::Standalone, username: None, password: None, ca: None }
    }

    pub(super) fn target(&self) -> Result<Target, BrokerError> {
        let port = if matches!(self.topology, Topology::Sentinel { .. }) { 26379 } else { 6379 };
        target(&self.url, port).ok_or_else(|| {
            let wrong = format!("{} is no redis://HOST:PORT/DB: correct broker.redis.external.url", self.url);
            BrokerError::Refused(Trouble::new(Part::Other, wrong))
        })
    }
}

fn target(url: &str, default_port: u16) -> Option<Target> {
    let (tls, rest) = match url.strip_prefix("redis://") {
        Some(rest) => (false, rest),
        None => (true, url.strip_prefix("rediss://")?),
    };
    let (hosts, db) = rest.split_once('/').unwrap_or((rest, ""));
    let db = if db.is_empty() { 0 } else { db.parse().ok()? };
    let hosts = hosts.split(',').map(|host| self::host(host, default_port)).collect::<Option<_>>()?;
    Some(Target { hosts, tls, db })
}

/// `name`, `name:port`, `[address]` or `[address]:port`.
fn host(text: &str, default_port: u16) -> Option<Host> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(name, port)| (name, port.strip_prefix(':')))?,
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
    (!name.is_empty()).then(|| Host::new(name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_hosts_a_database_and_whether_it_is_tls() {
        let read = |url: &str| {
            let Target { hosts, tls, db } = target(url, 6379)?;
            Some((hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), tls, db))
        };
        for (url, hosts, tls, db) in [
            ("redis://r", "r:6379", false, 0),
            ("redis://r:7000/", "r:7000", false, 0),
            ("rediss://a:1,b,10.0.0.1:2/15", "a:1 b:6379 10.0.0.1:2", true, 15),
            ("redis://[fd00::1]:7000,[::1]/0", "[fd00::1]:7000 [::1]:6379", false, 0),
        ] {
            assert_eq!(read(url), Some((hosts.into(), tls, db)), "{url}");
        }
        for wrong in ["http://r", "redis://", "redis://a,,b", "redis://a:port", "redis://a/db", "redis://:6379"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
