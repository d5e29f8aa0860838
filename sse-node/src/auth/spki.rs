//! Public keys as they lie in PEM files: SubjectPublicKeyInfo, RFC 5280 4.1.2.7. Of its DER only what four kinds of
//! key need is read; what is not exactly so is refused.

use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

/// A public key, in the form that signatures are verified with.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RSAPublicKey, RFC 8017 A.1.1.
    Rsa(Vec<u8>),
    /// An uncompressed point.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Why a file holds no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("it is no PEM with BEGIN PUBLIC KEY; make one by: openssl pkey -in key.pem -pubout")]
    NotPem,
    #[error("it is no key of RSA, P-256, P-384 or Ed25519")]
    NotKnown,
}

/// The algorithm identifiers: RFC 8017 A.1, RFC 5480 2.1.1, RFC 8410 3.
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const P256: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The first public key of a PEM file.
pub fn read(pem: &[u8]) -> Result<PublicKey, BadKey> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| BadKey::NotPem)?;
    of_der(der.as_ref()).ok_or(BadKey::NotKnown)
}

fn of_der(der: &[u8]) -> Option<PublicKey> {
    let (info, rest) = element(SEQUENCE, der)?;
    let (algorithm, key) = element(SEQUENCE, info)?;
    let (key, more) = element(BIT_STRING, key)?;
    // The first byte counts the bits that are not used.
    let (&0, key) = key.split_first()? else { return None };
    if !rest.is_empty() || !more.is_empty() {
        return None;
    }
    let point = |length| (key.len() == length && key.first() == Some(&4)).then(|| key.to_vec());
    match algorithm {
        RSA => Some(PublicKey::Rsa(key.to_vec())),
        P256 => point(65).map(PublicKey::P256),
        P384 => point(97).map(PublicKey::P384),
        ED25519 => (key.len() == 32).then(|| PublicKey::Ed25519(key.to_vec())),
        _ => None,
    }
}

/// The content of the element at the beginning, and what is behind it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, der) = der.split_first()?;
    let (&first, mut der) = der.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let bytes = usize::from(first & 0x7f);
        // No key has more than 64 KiB.
        let digits = der.get(..bytes).filter(|_| matches!(bytes, 1 | 2))?;
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        der = &der[bytes..];
    }
    (found == tag && length <= der.len()).then(|| der.split_at(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_public_key_gets_a_sentence() {
        assert_eq!(read(b"").err(), Some(BadKey::NotPem));
        assert_eq!(read(b"secret").err(), Some(BadKey::NotPem));
        let ed448 = b"-----BEGIN PUBLIC KEY-----\nMAUGAytlcQ==\n-----END PUBLIC KEY-----\n";
        assert_eq!(read(ed448).err(), Some(BadKey::NotKnown));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(der in proptest::collection::vec(any::<u8>(), 0..100), head in 0_usize..3) {
            let heads: [&[u8]; 3] = [b"", b"\x30\x59\x30\x13", b"\x30\x82\xff\xff\x30\x05"];
            let _ = of_der(&[heads[head], &der].concat());
        }
    }
}
