//! JSON Web Tokens for a burst of subscribers: RFC 7515, signed here, each for a subject of its own.

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};

/// How tokens are signed, RFC 7518.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    HS256,
    ES256,
}

impl Algorithm {
    pub fn name(self) -> &'static str {
        match self {
            Self::HS256 => "hs256",
            Self::ES256 => "es256",
        }
    }

    /// What refers to its key in a manifest.
    pub fn reference(self) -> &'static str {
        match self {
            Self::HS256 => "secretRef",
            Self::ES256 => "publicKeyRef",
        }
    }
}

/// A key that is of this run alone.
pub struct Signer {
    key: Key,
    random: SystemRandom,
    expires: u64,
}

enum Key {
    Shared([u8; 32]),
    Pair(Box<EcdsaKeyPair>),
}

/// How long a token is good, in seconds: longer than a run.
const LIFE: u64 = 86_400;
/// A SubjectPublicKeyInfo of P-256 up to its point: RFC 5480, 2.
const P256: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

impl Signer {
    pub fn new(algorithm: Algorithm) -> io::Result<Self> {
        let random = SystemRandom::new();
        let key = match algorithm {
            Algorithm::HS256 => Key::Shared(std::array::from_fn(|_| fastrand::u8(..))),
            Algorithm::ES256 => {
                let wanted = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::generate_pkcs8(wanted, &random).map_err(failed)?;
                Key::Pair(Box::new(EcdsaKeyPair::from_pkcs8(wanted, pair.as_ref(), &random).map_err(failed)?))
            }
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(failed)?;
        Ok(Self { key, random, expires: now.as_secs() + LIFE })
    }

    /// What checks the tokens, as a Secret holds it: the shared secret, or the public key as PEM.
    pub fn key(&self) -> Vec<u8> {
        match &self.key {
            Key::Shared(secret) => secret.to_vec(),
            Key::Pair(pair) => {
                let key = STANDARD.encode([P256, pair.public_key().as_ref()].concat());
                format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n").into_bytes()
            }
        }
    }

    /// A token of subject `n`, which grants all topics.
    pub fn token(&self, n: u64) -> io::Result<String> {
        let algorithm = if matches!(self.key, Key::Shared(_)) { "HS256" } else { "ES256" };
        let head = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
        let claims = format!(r#"{{"sub":"subscriber-{n}","exp":{},"topics":["*"]}}"#, self.expires);
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let signature = match &self.key {
            Key::Shared(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()))
            }
            Key::Pair(pair) => URL_SAFE_NO_PAD.encode(pair.sign(&self.random, signed.as_bytes()).map_err(failed)?),
        };
        Ok(format!("{signed}.{signature}"))
    }
}

fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("can't make tokens: {error}"))
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn parts(token: &str) -> (&str, Vec<u8>) {
        let (signed, signature) = token.rsplit_once('.').expect("a signature");
        (signed, URL_SAFE_NO_PAD.decode(signature).expect("base64url"))
    }

    #[test]
    fn a_token_is_checked_by_the_key_that_a_secret_holds() {
        let signed_by = Signer::new(Algorithm::HS256).expect("a signer");
        let token = signed_by.token(7).expect("a token");
        let (signed, signature) = parts(&token);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &signed_by.key());
        assert!(hmac::verify(&key, signed.as_bytes(), &signature).is_ok());

        let signed_by = Signer::new(Algorithm::ES256).expect("a signer");
        let token = signed_by.token(7).expect("a token");
        let (signed, signature) = parts(&token);
        let pem = String::from_utf8(signed_by.key()).expect("text");
        let der = STANDARD.decode(pem.lines().nth(1).expect("a line")).expect("base64");
        assert_eq!(der.len(), 91);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &der[P256.len()..]);
        assert!(key.verify(signed.as_bytes(), &signature).is_ok());
    }
}
