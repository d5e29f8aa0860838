//! A key that tokens may be signed with, and the algorithms that it is good for: those of its own kind which the
//! manifest pins, never what a token says.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey};
use ssefleet_crds::auth;

use super::spki::PublicKey;

/// What tells keys apart, without telling them: streams remember by it what let them in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub(super) fn of(kind: &str, parts: &[&[u8]]) -> Self {
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        digest.update(kind.as_bytes());
        for part in parts {
            digest.update(&part.len().to_be_bytes());
            digest.update(part);
        }
        let digest = digest.finish();
        Self(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

/// A key.
#[derive(Clone)]
pub struct Key {
    /// Only for tokens that name it. None: for any token.
    pub kid: Option<String>,
    /// What it is good for, of the algorithms that are pinned.
    pub algorithms: Vec<Algorithm>,
    pub fingerprint: Fingerprint,
    pub decoding: DecodingKey,
}

/// Why a key is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Useless {
    #[error("none of spec.auth's algorithms is for this kind of key")]
    Algorithms,
    #[error("it has {0} bytes, and {1:?} needs {2} at least (RFC 7518 3.2); make one by: openssl rand -hex 32")]
    Short(usize, Algorithm, usize),
}

impl Key {
    /// A shared secret, its bytes as they are.
    pub fn shared(kid: Option<String>, secret: &[u8], pinned: &[Algorithm]) -> Result<Self, Useless> {
        let mut too_short = Useless::Algorithms;
        let mut algorithms = Vec::new();
        for (algorithm, least) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
            if pinned.contains(&algorithm) {
                if secret.len() >= least {
                    algorithms.push(algorithm);
                } else {
                    too_short = Useless::Short(secret.len(), algorithm, least);
                }
            }
        }
        if algorithms.is_empty() {
            return Err(too_short);
        }
        let fingerprint = Fingerprint::of("oct", &[secret]);
        Ok(Self { kid, algorithms, fingerprint, decoding: DecodingKey::from_secret(secret) })
    }

    pub fn public(kid: Option<String>, key: &PublicKey, pinned: &[Algorithm]) -> Result<Self, Useless> {
        let (what, bytes, fit, decoding) = match key {
            PublicKey::Rsa(der) => ("RSA", der, RSA, DecodingKey::from_rsa_der(der)),
            PublicKey::P256(point) => ("P-256", point, &[Algorithm::ES256][..], DecodingKey::from_ec_der(point)),
            PublicKey::P384(point) => ("P-384", point, &[Algorithm::ES384][..], DecodingKey::from_ec_der(point)),
            PublicKey::Ed25519(key) => ("Ed25519", key, &[Algorithm::EdDSA][..], DecodingKey::from_ed_der(key)),
        };
        Self::fitting(kid, fit, pinned, Fingerprint::of(what, &[bytes]), decoding)
    }

    /// An RSA key by its numbers, big-endian.
    pub fn rsa(kid: Option<String>, n: &[u8], e: &[u8], pinned: &[Algorithm]) -> Result<Self, Useless> {
        let decoding = DecodingKey::from_rsa_raw_components(n, e);
        Self::fitting(kid, RSA, pinned, Fingerprint::of("RSA n e", &[n, e]), decoding)
    }

    fn fitting(
        kid: Option<String>,
        fit: &[Algorithm],
        pinned: &[Algorithm],
        fingerprint: Fingerprint,
        decoding: DecodingKey,
    ) -> Result<Self, Useless> {
        let algorithms: Vec<_> = pinned.iter().copied().filter(|algorithm| fit.contains(algorithm)).collect();
        if algorithms.is_empty() {
            return Err(Useless::Algorithms);
        }
        Ok(Self { kid, algorithms, fingerprint, decoding })
    }
}

const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// The manifest's names, as the library has them.
pub fn pinned(algorithms: &[auth::Algorithm]) -> Vec<Algorithm> {
    let named = |algorithm: &auth::Algorithm| match algorithm {
        auth::Algorithm::HS256 => Algorithm::HS256,
        auth::Algorithm::HS384 => Algorithm::HS384,
        auth::Algorithm::HS512 => Algorithm::HS512,
        auth::Algorithm::RS256 => Algorithm::RS256,
        auth::Algorithm::RS384 => Algorithm::RS384,
        auth::Algorithm::RS512 => Algorithm::RS512,
        auth::Algorithm::PS256 => Algorithm::PS256,
        auth::Algorithm::PS384 => Algorithm::PS384,
        auth::Algorithm::PS512 => Algorithm::PS512,
        auth::Algorithm::ES256 => Algorithm::ES256,
        auth::Algorithm::ES384 => Algorithm::ES384,
        auth::Algorithm::EdDSA => Algorithm::EdDSA,
    };
    algorithms.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_for_what_is_of_its_kind_and_pinned() {
        use Algorithm::{ES256, HS256, HS512, RS256};
        let secret = [7; 32];
        assert_eq!(Key::shared(None, &secret, &[HS256, HS512]).map(|key| key.algorithms), Ok(vec![HS256]));
        assert_eq!(Key::shared(None, &secret[..31], &[HS256]).err(), Some(Useless::Short(31, HS256, 32)));
        assert_eq!(Key::shared(None, &secret, &[RS256]).err(), Some(Useless::Algorithms));
        let point = PublicKey::P256(vec![4; 65]);
        assert_eq!(Key::public(None, &point, &[RS256, ES256]).map(|key| key.algorithms), Ok(vec![ES256]));
        assert_eq!(Key::public(None, &point, &[HS256, RS256]).err(), Some(Useless::Algorithms));
    }

    #[test]
    fn a_fingerprint_tells_nothing_of_the_key() {
        let key = Key::shared(None, b"a secret of more than thirty-two bytes", &[Algorithm::HS256]).unwrap();
        assert_eq!(format!("{:?} {:?}", key.fingerprint, key.kid), "Fingerprint None");
    }
}
