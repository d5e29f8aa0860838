//! What is to be probed: a stream, and the ways by which it is reached from outside.

use std::{collections::BTreeMap, fmt, time::Duration};

/// A stream that is to be probed.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub namespace: String,
    pub name: String,
    /// Of the spec: what is found is told of this one.
    pub generation: Option<i64>,
    /// Where it is subscribed to.
    pub path: String,
    /// How often a subscriber hears something, if there is nothing to say.
    pub heartbeat: Duration,
    /// At least one.
    pub ways: Vec<Way>,
}

/// One way in.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    pub via: Via,
    /// What is connected to: an IP address or a name.
    pub address: String,
    pub port: u16,
    /// What is asked for: the Host, and the name of the certificate.
    pub host: String,
    pub tls: Option<Certificate>,
    /// What the user has set of the controller's, which wins over what ssefleet sets.
    pub overrides: BTreeMap<String, String>,
}

/// The certificate that a way is to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// The Secret that holds it, in the stream's namespace; without one, the authorities of the system must know it.
    pub secret: Option<String>,
}

/// What serves a way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    IngressNginx,
    NginxInc,
    Traefik,
    HAProxy,
    Contour,
    EnvoyGateway,
    NginxGatewayFabric,
    /// A Gateway of any other implementation.
    Gateway,
    /// Our own nginx.
    Edge,
    /// A Service, without any proxy that is known here.
    Service,
}

impl Way {
    /// Of an URL: a port that its scheme does not have by itself is part of it.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        let usual = if self.tls.is_some() { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

/// As messages name it.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())?;
        if self.address != self.host {
            write!(f, " by {}:{}", bracketed(&self.address), self.port)?;
        }
        Ok(())
    }
}

/// An IPv6 address as it stands in an authority.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_named_as_its_users_know_it() {
        let way = |address: &str, port, host: &str, tls: bool| Way {
            via: Via::Traefik,
            address: address.into(),
            port,
            host: host.into(),
            tls: tls.then_some(Certificate { secret: None }),
            overrides: BTreeMap::new(),
        };
        let named = way("192.0.2.1", 443, "events.example.com", true);
        assert_eq!(named.to_string(), "https://events.example.com by 192.0.2.1:443");
        let bare = way("2001:db8::1", 8080, "2001:db8::1", false);
        assert_eq!(
            (bare.to_string().as_str(), bare.authority().as_str()),
            ("http://[2001:db8::1]:8080", "[2001:db8::1]:8080")
        );
    }
}
