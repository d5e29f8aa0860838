//! A JSON Web Key Set (RFC 7517) as keys that signatures are verified with. What is of no use here is left out: other
//! kinds of key, keys for encryption, symmetric keys (a public document holds no secrets), private keys.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{keys::Key, spki::PublicKey};

/// The most keys of a set.
pub const MAX: usize = 100;

#[derive(Deserialize)]
struct Set {
    keys: Vec<Box<RawValue>>,
}

/// A key, RFC 7517 4, RFC 7518 6, RFC 8037 2. A member that is there twice is an error.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// The private part.
    d: Option<String>,
}

/// Why a document is no key set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSet {
    #[error("it is no JSON Web Key Set")]
    Json,
    #[error("it has more than {MAX} keys")]
    TooMany,
    #[error("none of its keys is for the pinned algorithms")]
    NoneFits,
}

/// The keys of a set that are good for the pinned algorithms.
pub fn read(document: &[u8], pinned: &[Algorithm]) -> Result<Vec<Key>, NoSet> {
    let set: Set = serde_json::from_slice(document).map_err(|_| NoSet::Json)?;
    if set.keys.len() > MAX {
        return Err(NoSet::TooMany);
    }
    let alone = set.keys.len() == 1;
    let jwks = set.keys.iter().filter_map(|key| serde_json::from_str::<Jwk>(key.get()).ok());
    // Without a kid a key can be told only if there is no other, OpenID Connect Core 10.1.
    let jwks = jwks.filter(|jwk| jwk.kid.is_some() || alone);
    let mut keys: Vec<Key> = Vec::new();
    for key in jwks.filter_map(|jwk| jwk.key(pinned)) {
        // The same kid may stand for keys of different kinds (RFC 7517 4.5), not for two of a kind.
        if !keys.iter().any(|other| other.kid == key.kid && other.decoding.family() == key.decoding.family()) {
            keys.push(key);
        }
    }
    if keys.is_empty() { Err(NoSet::NoneFits) } else { Ok(keys) }
}

impl Jwk {
    fn key(self, pinned: &[Algorithm]) -> Option<Key> {
        let for_signatures = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        let verifies = self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !for_signatures || !verifies || self.d.is_some() {
            return None;
        }
        let only = match &self.alg {
            None => pinned.to_vec(),
            Some(alg) => pinned.iter().copied().filter(|algorithm| alg.parse() == Ok(*algorithm)).collect(),
        };
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let point = |length: usize| {
            let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
            (x.len() == length && y.len() == length).then(|| [&[4], &*x, &*y].concat())
        };
        let public = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => return Key::rsa(self.kid.clone(), &bytes(&self.n)?, &bytes(&self.e)?, &only).ok(),
            ("EC", Some("P-256")) => PublicKey::P256(point(32)?),
            ("EC", Some("P-384")) => PublicKey::P384(point(48)?),
            ("OKP", Some("Ed25519")) => PublicKey::Ed25519(bytes(&self.x).filter(|x| x.len() == 32)?),
            _ => return None,
        };
        Key::public(self.kid, &public, &only).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 32 and 48 bytes.
    const X: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn kids(document: &str) -> Result<Vec<String>, NoSet> {
        let keys = read(document.as_bytes(), &[Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA])?;
        Ok(keys.into_iter().map(|key| key.kid.unwrap_or_default()).collect())
    }

    fn set(keys: &[&str]) -> String {
        format!(r#"{{"keys": [{}]}}"#, keys.join(",")).replace("_X_", X)
    }

    #[test]
    fn of_a_set_are_taken_the_public_keys_for_signatures() {
        let mixed = set(&[
            r#"{"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": "_X_", "y": "_X_", "x5t": "?"}"#,
            r#"{"kty": "RSA", "kid": "ec", "n": "AQAB", "e": "AQAB"}"#,
            r#"{"kty": "OKP", "crv": "Ed25519", "kid": "ed", "key_ops": ["verify"], "alg": "EdDSA", "x": "_X_"}"#,
            r#"{"kty": "EC", "crv": "P-256", "kid": "ec", "x": "_X_", "y": "_X_"}"#,
            r#"{"kty": "EC", "crv": "P-256", "kid": "for-encryption", "use": "enc", "x": "_X_", "y": "_X_"}"#,
            r#"{"kty": "EC", "crv": "P-256", "kid": "signs", "key_ops": ["sign"], "x": "_X_", "y": "_X_"}"#,
            r#"{"kty": "EC", "crv": "P-256", "kid": "private", "x": "_X_", "y": "_X_", "d": "_X_"}"#,
            r#"{"kty": "EC", "crv": "P-256", "kid": "short", "x": "AA", "y": "_X_"}"#,
            r#"{"kty": "EC", "crv": "P-256", "x": "_X_", "y": "_X_"}"#,
            r#"{"kty": "EC", "crv": "P-256", "kid": "twice", "kid": "ec2", "x": "_X_", "y": "_X_"}"#,
            r#"{"kty": "RSA", "kid": "other-alg", "alg": "PS256", "n": "AQAB", "e": "AQAB"}"#,
            r#"{"kty": "oct", "kid": "shared", "k": "_X_"}"#,
            r#"{"kty": "post-quantum", "kid": 7}"#,
            "{}",
        ]);
        assert_eq!(kids(&mixed), Ok(["ec", "ec", "ed"].map(Into::into).to_vec()));
        assert_eq!(kids(&set(&[r#"{"kty": "OKP", "crv": "Ed25519", "x": "_X_"}"#])), Ok(vec![String::new()]));
    }

    #[test]
    fn what_is_no_set_changes_nothing() {
        for (document, why) in [("", NoSet::Json), ("[]", NoSet::Json), (r#"{"keys": []}"#, NoSet::NoneFits)] {
            assert_eq!(kids(document).err(), Some(why), "{document}");
        }
        assert_eq!(kids(&set(&["{}"; 101])).err(), Some(NoSet::TooMany));
    }
}
