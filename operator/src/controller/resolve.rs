//! Reads what the stream refers to and the watches do not bring: Secrets. External ones may be missing, which is told
//! by a condition while the rest goes on; the managed Redis' password is made here if there is none yet, and stored
//! by `apply`.

use std::{collections::BTreeSet, fmt};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use ring::rand::{SecureRandom, SystemRandom};
use ssefleet_crds::{SseStream, broker::SecretKey, names};

use super::{
    Context,
    error::{Blocked, refusal},
};
use crate::digest;

/// The key of the managed Redis' Secret that clients read.
pub const PASSWORD: &str = "password";
/// The key that redis.conf includes, so that the password is in no argument and no `ConfigMap`.
pub const AUTH_CONF: &str = "auth.conf";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't read the Secret {name}: {source}")]
    Read { name: String, source: kube::Error },
    #[error(
        "Secret {name} has no key {key}, which the managed Redis needs: put {PASSWORD} and {AUTH_CONF} (`requirepass PASSWORD`) back, or delete the Secret to have a new password made"
    )]
    PasswordIncomplete { name: String, key: &'static str },
    #[error("the system gives no random numbers for a password")]
    NoRandomness,
}

impl Error {
    pub fn metric_label(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read_secret",
            Self::PasswordIncomplete { .. } => "password_incomplete",
            Self::NoRandomness => "no_randomness",
        }
    }

    pub(super) fn blocked(&self) -> Option<Blocked> {
        let (reason, message) = match self {
            Self::Read { name, source } => {
                let told = refusal(source)?;
                ("SecretUnreadable", format!("The Secret {name} can't be read: {told}."))
            }
            Self::PasswordIncomplete { .. } => ("PasswordIncomplete", format!("{self}.")),
            Self::NoRandomness => return None,
        };
        Some(Blocked { reason, message, broker: true })
    }
}

/// What the cluster has of the things that the stream refers to.
#[derive(Debug, Default)]
pub struct Observed {
    /// The managed Redis' password; `None` without a managed Redis.
    pub password: Option<Password>,
    /// Secrets or keys that are not there.
    pub missing: Vec<Missing>,
}

/// The password of the managed Redis.
#[derive(Clone)]
pub enum Password {
    /// It is there, and never written again.
    Kept { version: String },
    /// There is none yet.
    New(String),
}

impl Password {
    /// Changes when the password does, so that Redis restarts with the new one. Sixteen bits: enough to notice a
    /// rotation, and too few to tell a guessed password from others by what a `StatefulSet` shows.
    pub fn version(&self) -> String {
        match self {
            Self::Kept { version } => version.clone(),
            Self::New(password) => version(password.as_bytes()),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept { .. } => "Kept",
            Self::New(_) => "New",
        })
    }
}

fn version(password: &[u8]) -> String {
    digest::short(&format!("managed Redis {}", digest::hex(password)), 2)
}

/// A Secret that is not there, or not whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    pub secret: SecretKey,
    /// The Secret is there, but not the key.
    pub only_key: bool,
}

pub(super) async fn resolve(stream: &SseStream, cx: &Context) -> Result<Observed, Error> {
    let api = Api::<Secret>::namespaced(cx.client.clone(), stream.metadata.namespace.as_deref().unwrap_or("default"));
    let redis = stream.spec.broker.redis.as_ref();
    let mut observed = Observed::default();
    if redis.is_some_and(|redis| redis.managed.is_some()) {
        let name = names::redis(stream.metadata.name.as_deref().unwrap_or_default());
        observed.password = Some(match read(&api, &name).await? {
            Some(secret) => kept(name, &secret)?,
            None => Password::New(random()?),
        });
    }
    let external = redis.and_then(|redis| redis.external.as_ref());
    let referred: BTreeSet<&SecretKey> = external
        .into_iter()
        .flat_map(|external| {
            let ca = external.tls.as_ref().and_then(|tls| tls.ca_secret_ref.as_ref());
            [external.username_secret_ref.as_ref(), external.password_secret_ref.as_ref(), ca]
        })
        .flatten()
        .collect();
    for wanted in referred {
        observed.missing.extend(missing(wanted, read(&api, &wanted.name).await?.as_ref()));
    }
    Ok(observed)
}

async fn read(api: &Api<Secret>, name: &str) -> Result<Option<Secret>, Error> {
    api.get_opt(name).await.map_err(|source| Error::Read { name: name.to_owned(), source })
}

fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    secret.data.as_ref()?.get(key).map(|value| value.0.as_slice()).filter(|value| !value.is_empty())
}

fn kept(name: String, secret: &Secret) -> Result<Password, Error> {
    match (value(secret, PASSWORD), value(secret, AUTH_CONF)) {
        (Some(password), Some(_)) => Ok(Password::Kept { version: version(password) }),
        (None, _) => Err(Error::PasswordIncomplete { name, key: PASSWORD }),
        (_, None) => Err(Error::PasswordIncomplete { name, key: AUTH_CONF }),
    }
}

fn missing(wanted: &SecretKey, found: Option<&Secret>) -> Option<Missing> {
    let only_key = match found {
        None => false,
        Some(secret) if value(secret, &wanted.key).is_none() => true,
        Some(_) => return None,
    };
    Some(Missing { secret: wanted.clone(), only_key })
}

/// 256 bits as hex: needs no quoting in auth.conf or a URL.
fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(digest::hex(&bytes))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn secret(keys: &[(&str, &str)]) -> Secret {
        let data = keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
        Secret { data: Some(data), ..Default::default() }
    }

    #[test]
    fn a_password_is_kept_only_when_it_is_whole() {
        let told = |keys: &[_]| kept("quotes-redis".into(), &secret(keys)).unwrap_err().to_string();
        assert!(told(&[("password", "x")]).contains("no key auth.conf"));
        assert!(told(&[("auth.conf", "x"), ("password", "")]).contains("no key password"));
        let whole = kept("quotes-redis".into(), &secret(&[("password", "x"), ("auth.conf", "requirepass x")]));
        assert_eq!(whole.unwrap().version(), Password::New("x".into()).version());
    }

    #[test]
    fn passwords_are_long_random_and_never_printed() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
        assert_eq!(format!("{:?}", Password::New(one)), "New");
    }

    #[test]
    fn a_missing_secret_is_told_from_a_missing_key() {
        let wanted = SecretKey { name: "redis-auth".into(), key: "password".into() };
        assert_eq!(missing(&wanted, None), Some(Missing { secret: wanted.clone(), only_key: false }));
        let found = secret(&[("user", "x")]);
        assert_eq!(missing(&wanted, Some(&found)), Some(Missing { secret: wanted.clone(), only_key: true }));
        assert_eq!(missing(&wanted, Some(&secret(&[("password", "x")]))), None);
    }
}
