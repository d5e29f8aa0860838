//! Who the client is: the address that connects, or the one that trusted proxies saw.
//!
//! Each proxy adds to the end of X-Forwarded-For whom it heard from. So the list is read from its end, for as long
//! as what stands there was written by a proxy that is trusted; the first address that is none of theirs is the
//! client. What lies before it came from the client and may say anything. `Forwarded` (RFC 7239) is not read: a
//! proxy that sets the one and passes on the other would let clients choose who they are.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// The client's address. `forwarded` gives the values of all X-Forwarded-For fields, in their order.
pub fn client<'a>(peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a [u8]>, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    let hops = forwarded.rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    for hop in hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()) {
        if !trusted.iter().any(|network| network.contains(&client)) {
            break;
        }
        // Not an address: nobody knows what comes before it, and the proxy that passed it on counts as the client.
        let Some(address) = address(hop) else { break };
        client = address;
    }
    client
}

/// An address, with or without brackets and a port: some proxies write those.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = bare.and_then(|text| text.parse::<Ipv6Addr>().ok()).map(IpAddr::from);
    let address = address.or_else(|| text.parse().ok()).or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

/// The part of an address that one customer has: all of an IPv4 address, 64 bits of an IPv6 address (RFC 6177).
pub fn network(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        // No IPv6 network that is in use looks like this: it lies in ::/8, which is reserved (RFC 4291).
        IpAddr::V4(v4) => (4 << 32 | u64::from(u32::from(v4))).to_be_bytes(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            [a, b, c, d].into_iter().fold(0, |bits, segment| bits << 16 | u64::from(segment)).to_be_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUSTED: [&str; 3] = ["10.0.0.0/8", "192.168.7.1/32", "fd00::/8"];

    fn told(peer: &str, forwarded: &[&[u8]]) -> String {
        let trusted = TRUSTED.map(|network| network.parse().unwrap());
        client(peer.parse().unwrap(), forwarded.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        let cases: &[(&str, &[&[u8]], &str, &str)] = &[
            ("198.51.100.1", &[], "198.51.100.1", "nothing is said"),
            ("10.0.0.1", &[], "10.0.0.1", "a proxy that says nothing is itself the client"),
            ("198.51.100.1", &[b"203.0.113.9"], "198.51.100.1", "who is not trusted is not believed"),
            ("10.0.0.1", &[b"203.0.113.9"], "203.0.113.9", "one proxy"),
            ("10.0.0.1", &[b"203.0.113.9, 10.2.2.2, 192.168.7.1"], "203.0.113.9", "a chain of proxies"),
            ("10.0.0.1", &[b"1.1.1.1, 203.0.113.9"], "203.0.113.9", "what the client wrote itself is not believed"),
            ("10.0.0.1", &[b"1.1.1.1", b"203.0.113.9"], "203.0.113.9", "nor on a line of its own"),
            ("10.0.0.1", &[b"203.0.113.9", b"10.3.3.3"], "203.0.113.9", "lines are one list"),
            ("10.0.0.1", &[b"10.9.9.9, 203.0.113.9"], "203.0.113.9", "nor that it is a proxy"),
            ("10.0.0.1", &[b"10.9.9.9, 10.8.8.8"], "10.9.9.9", "all are trusted: the first of them"),
            ("10.0.0.1", &[b"203.0.113.9, 192.168.7.2, 10.1.1.1"], "192.168.7.2", "one that is not trusted"),
            ("10.0.0.1", &[b"203.0.113.9, unknown"], "10.0.0.1", "what is no address: who passed it on"),
            ("10.0.0.1", &[b"203.0.113.9, _hidden, 10.4.4.4"], "10.4.4.4", "the same further back"),
            ("10.0.0.1", &[b"203.0.113.9, \xff\xfe"], "10.0.0.1", "bytes that are no text"),
            ("10.0.0.1", &[b"203.0.113.9, 1.2.3.4.5"], "10.0.0.1", "too many numbers"),
            ("10.0.0.1", &[b"203.0.113.9, 010.1.1.1"], "10.0.0.1", "no octal"),
            ("10.0.0.1", &[b"203.0.113.9, fe80::1%eth0"], "10.0.0.1", "no zone"),
            ("10.0.0.1", &[b" 203.0.113.9 ,, "], "203.0.113.9", "empty elements say nothing (RFC 9110, 5.6.1)"),
            ("10.0.0.1", &[b"203.0.113.9:4711"], "203.0.113.9", "a port"),
            ("10.0.0.1", &[b"[2001:db8::1]:4711"], "2001:db8::1", "a port of IPv6"),
            ("10.0.0.1", &[b"[2001:db8::1]"], "2001:db8::1", "brackets"),
            ("10.0.0.1", &[b"2001:db8::1"], "2001:db8::1", "none"),
            ("::ffff:10.0.0.1", &[b"::ffff:203.0.113.9"], "203.0.113.9", "IPv4 written as IPv6"),
            ("fd00::1", &[b"203.0.113.9"], "203.0.113.9", "a proxy by IPv6"),
            ("10.0.0.1", &[b"[203.0.113.9]"], "10.0.0.1", "brackets are not for IPv4"),
        ];
        for (peer, forwarded, client, why) in cases {
            assert_eq!(told(peer, forwarded), *client, "{why}");
        }
    }

    #[test]
    fn a_customer_is_an_ipv4_address_or_64_bits_of_ipv6() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("203.0.113.9", "::ffff:203.0.113.9"));
        assert!(!same("203.0.113.9", "203.0.113.10"));
        assert!(!same("::1", "0.0.0.1") && !same("::1", "127.0.0.1"));
    }
}
