//! What the operator makes up once and then keeps, whoever changes it: the managed Redis' password, the token that
//! publishers show, and the one with which it speaks to the nodes. One that is not there yet is made here, and stored by `apply`.

use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use ssefleet_crds::{broker::SecretKey, names};

use crate::digest;

/// The key of the managed Redis' Secret that clients read.
pub const PASSWORD: &str = "password";

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Secret {name} has no key {key}, {}", purpose.remedy())]
    Incomplete { name: String, key: &'static str, purpose: Purpose },
    #[error("the system gives no random numbers for a password")]
    NoRandomness,
}

/// What a credential is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    RedisPassword,
    PublishToken,
    AdminToken,
}

impl Purpose {
    /// The name of its Secret.
    pub fn secret(self, stream: &str) -> String {
        match self {
            Self::RedisPassword => names::redis(stream),
            Self::PublishToken => names::publish(stream),
            Self::AdminToken => names::admin(stream),
        }
    }

    /// The key that holds the credential itself.
    pub fn key(self) -> &'static str {
        match self {
            Self::RedisPassword => PASSWORD,
            Self::PublishToken | Self::AdminToken => names::TOKEN,
        }
    }

    /// What is to be done about a Secret without one of its keys.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::RedisPassword => {
                "which the managed Redis needs: put one there, or delete the Secret to have a new one made"
            }
            Self::PublishToken => {
                "which publishers show: put it back, delete the Secret to have a new token made, or say in spec.auth.publish what publishers show instead"
            }
            Self::AdminToken => {
                "with which the operator speaks to the nodes: put it back, or delete the Secret to have a new token made"
            }
        }
    }
}

/// A password or a token.
#[derive(Clone)]
pub enum Credential {
    /// It is there, and never written again.
    Kept,
    /// There is none yet.
    New(String),
}

impl Credential {
    /// The one that the Secret holds, or a new one where there is no Secret.
    pub fn of(purpose: Purpose, name: &str, secret: Option<&Secret>) -> Result<Self, Error> {
        let Some(secret) = secret else { return random().map(Self::New) };
        let key = purpose.key();
        if value(secret, key).is_none() {
            return Err(Error::Incomplete { name: name.to_owned(), key, purpose });
        }
        Ok(Self::Kept)
    }

    /// What is to be stored, if it is not there yet.
    pub fn made(&self) -> Option<&str> {
        match self {
            Self::Kept => None,
            Self::New(word) => Some(word),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "Kept",
            Self::New(_) => "New",
        })
    }
}

/// Where the managed Redis' password is.
pub fn password(stream: &str) -> SecretKey {
    SecretKey { name: names::redis(stream), key: PASSWORD.into() }
}

/// What a key of a Secret holds, if that is anything.
pub fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    secret.data.as_ref()?.get(key).map(|value| value.0.as_slice()).filter(|value| !value.is_empty())
}

/// 256 bits as hex: needs no quoting in redis.conf, a URL or a header.
fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(digest::hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures::secret;

    #[test]
    fn a_credential_is_kept_only_when_its_secret_is_whole() {
        let told =
            |purpose, keys: &[_]| Credential::of(purpose, "quotes-x", Some(&secret(keys))).unwrap_err().to_string();
        assert!(told(Purpose::RedisPassword, &[("password", "")]).contains("no key password"));
        let told = told(Purpose::PublishToken, &[("tokens", "x")]);
        assert_eq!(
            told,
            "Secret quotes-x has no key token, which publishers show: put it back, delete the Secret to have a new token made, or say in spec.auth.publish what publishers show instead"
        );
        let kept = Credential::of(Purpose::PublishToken, "quotes-publish", Some(&secret(&[("token", "x")])));
        assert_eq!(kept.unwrap().made(), None);
    }

    #[test]
    fn new_ones_are_long_random_and_never_printed() {
        let new = || Credential::of(Purpose::PublishToken, "quotes-publish", None).unwrap();
        let (one, other) = (new(), new());
        assert_eq!(one.made().map(str::len), Some(64));
        assert_ne!(one.made(), other.made());
        assert_eq!(format!("{one:?}"), "New");
    }
}
