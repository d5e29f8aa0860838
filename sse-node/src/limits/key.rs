//! Under which key one is counted: an address, a subject or a header field's value, as a short hash of it. What is
//! in a header may be a secret, and what is in Redis or in memory may be read.

use std::{fmt, net::IpAddr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ipnet::IpNet;
use ring::digest;
use ssefleet_crds::rate_limits::Per;

use super::client::{client, network};

/// Who asks, by all that a limit can go by.
pub struct Asker<'a> {
    pub peer: IpAddr,
    /// The `sub` of its token.
    pub subject: Option<&'a str>,
    /// The values of all fields of a name, in their order.
    pub fields: &'a dyn Fn(&str) -> Vec<&'a [u8]>,
}

/// Of one who is counted. 96 bits: that two of a billion are the same is as good as impossible.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 12]);

impl Key {
    /// Of what a limit counts by.
    pub fn of(asker: &Asker<'_>, per: Per, header: Option<&str>, trusted: &[IpNet]) -> Self {
        match per {
            Per::ClientIp => {
                let forwarded = if trusted.is_empty() { Vec::new() } else { (asker.fields)("x-forwarded-for") };
                Self::hash("ip", Some(&network(client(asker.peer, forwarded.into_iter(), trusted))))
            }
            Per::Subject => Self::hash("subject", asker.subject.map(str::as_bytes)),
            Per::Header => {
                let name = header.unwrap_or_default().to_ascii_lowercase();
                // Several lines are as good as none: whoever checks the value may look at another than we do.
                let value = match (asker.fields)(&name)[..] {
                    [value] if !value.is_empty() => Some(value),
                    _ => None,
                };
                Self::hash(&name, value)
            }
        }
    }

    /// Those without are counted together, as one.
    fn hash(kind: &str, value: Option<&[u8]>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(kind.as_bytes());
        if let Some(value) = value {
            context.update(b"\0");
            context.update(value);
        }
        let mut key = [0; 12];
        key.copy_from_slice(&context.finish().as_ref()[..12]);
        Self(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(per: Per, subject: Option<&str>, values: &'static [&'static [u8]]) -> Key {
        let fields = |name: &str| if name == "x-api-key" { values.to_vec() } else { Vec::new() };
        let asker = Asker { peer: [127, 0, 0, 1].into(), subject, fields: &fields };
        Key::of(&asker, per, (per == Per::Header).then_some("X-Api-Key"), &[])
    }

    #[test]
    fn each_value_is_one_and_those_without_are_one_together() {
        let header = |values| key(Per::Header, None, values);
        assert_eq!(header(&[b"a"]), header(&[b"a"]));
        assert_ne!(header(&[b"a"]), header(&[b"b"]));
        assert_ne!(header(&[b"a"]), header(&[]));
        assert_eq!(header(&[]), header(&[b""]));
        assert_eq!(header(&[]), header(&[b"a", b"b"]), "which of them counts is anyone's guess");
        let subject = |subject| key(Per::Subject, subject, &[]);
        assert_ne!(subject(Some("a")), subject(Some("b")));
        assert_ne!(subject(Some("a")), subject(None));
        assert_ne!(subject(None), key(Per::ClientIp, None, &[]));
    }

    #[test]
    fn a_key_does_not_tell_what_it_is_of() {
        let key = key(Per::Header, None, &[b"tops3cret"]);
        assert_eq!(key.to_string().len(), 16);
        assert!(!format!("{key:?}{key}").contains("s3cret"));
    }
}
