//! Reads what the stream refers to and the watches do not bring: Secrets. Those of the user may be missing, which is
//! told by conditions while the rest goes on; those of the operator's own are made if there is none yet.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use ssefleet_crds::{
    SseStream,
    broker::{External, SecretKey},
};

use super::{
    Context,
    apply::is_leftover,
    blocked::{Blocked, refusal},
    children,
    credential::{self, Credential, Purpose, value},
    words::Words,
};
use crate::{
    autoscale::scalers::Scale,
    nodes::Token,
    optional::{Kind, Present},
    secrets::{Lane, Seen},
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't read the Secret {name}: {source}")]
    Read { name: String, source: kube::Error },
    #[error(transparent)]
    Credential(#[from] credential::Error),
    #[error("Secret {name} is left from an earlier stream of this name and about to go")]
    Leftover { name: String },
}

impl Error {
    pub fn metric_label(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read_secret",
            Self::Credential(credential::Error::Incomplete { .. }) => "secret_incomplete",
            Self::Leftover { .. } => "leftover",
            Self::Credential(credential::Error::NoRandomness) => "no_randomness",
        }
    }

    pub(super) fn blocked(&self) -> Option<Blocked> {
        let (reason, message, broker) = match self {
            Self::Read { name, source } => {
                let told = refusal(source)?;
                ("SecretUnreadable", format!("The Secret {name} can't be read: {told}."), false)
            }
            Self::Credential(credential::Error::Incomplete { purpose, .. }) => {
                ("SecretIncomplete", format!("{self}."), *purpose == Purpose::RedisPassword)
            }
            Self::Leftover { .. } | Self::Credential(credential::Error::NoRandomness) => return None,
        };
        Some(Blocked { reason, message, broker })
    }
}

/// What the cluster has of the things that the stream refers to.
#[derive(Debug, Default)]
pub struct Observed {
    /// The managed Redis' password; `None` without a managed Redis.
    pub password: Option<Credential>,
    /// The token that publishers show; `None` where the stream says something else.
    pub publish_token: Option<Credential>,
    /// The token that opens the nodes' admin ports; `None` only where there is no cluster to look at.
    pub admin_token: Option<Credential>,
    /// What it is, once the nodes can have it.
    pub admin: Option<Token>,
    /// The manifest that the nodes have now.
    pub manifest: Option<String>,
    /// Changes with what is in the Secrets that the nodes read.
    pub secrets: Option<String>,
    /// Secrets or keys that are not there.
    pub missing: Vec<Missing>,
    /// The optional kinds that the cluster has.
    pub kinds: Present,
    /// The first Gateway of `exposure.gateway`, for the address; `None` too where it may not be read.
    pub gateway: Option<DynamicObject>,
    /// What autoscaling has decided, in mode Operator.
    pub scale: Option<Scale>,
}

/// A Secret that is not there, or not whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// The field that refers to it, below `spec`.
    pub field: String,
    pub secret: SecretKey,
    /// The Secret is there, but not the key.
    pub only_key: bool,
}

impl Missing {
    /// Whether it is the broker that needs it.
    pub fn is_of_broker(&self) -> bool {
        self.field.starts_with("broker.")
    }
}

pub(super) async fn resolve(stream: &SseStream, cx: &Context) -> Result<Observed, Error> {
    let api = Api::<Secret>::namespaced(cx.client.clone(), stream.metadata.namespace.as_deref().unwrap_or("default"));
    let mut reading = Reading { api, seen: Vec::new(), words: Words::default() };
    let observed = observe(stream, &mut reading).await;
    // Also after a failure: a Secret that comes, or is put right, ends it.
    cx.secrets.saw(stream, reading.seen);
    let observed = observed?;
    let kinds = cx.stores.optional.present().await;
    let gateway = gateway(stream, &kinds, cx).await;
    let scale = cx.scalers.of(stream);
    Ok(Observed { manifest: children::present(stream, &cx.stores), kinds, gateway, scale, ..observed })
}

/// What was read of Secrets so far.
struct Reading {
    api: Api<Secret>,
    seen: Vec<Seen>,
    words: Words,
}

impl Reading {
    async fn read(&mut self, lane: Lane, name: &str) -> Result<Option<Secret>, Error> {
        let found = self.api.get_opt(name).await;
        let version = found.as_ref().ok().and_then(Option::as_ref).and_then(ResourceExt::resource_version);
        self.seen.push(Seen { lane, name: name.to_owned(), version });
        found.map_err(|source| Error::Read { name: name.to_owned(), source })
    }
}

async fn observe(stream: &SseStream, reading: &mut Reading) -> Result<Observed, Error> {
    let mut observed = Observed::default();
    let (admin_token, admin) = credential(Purpose::AdminToken, stream, reading).await?;
    (observed.admin_token, observed.admin) = (Some(admin_token), admin);
    if stream.spec.broker.redis.as_ref().is_some_and(|redis| redis.managed.is_some()) {
        observed.password = Some(credential(Purpose::RedisPassword, stream, reading).await?.0);
    }
    if stream.spec.auth.publish.is_none() {
        observed.publish_token = Some(credential(Purpose::PublishToken, stream, reading).await?.0);
    }
    let mut read_last: Option<(&str, Option<Secret>)> = None;
    for (wanted, field) in &referred(stream) {
        let found = match read_last.take() {
            Some((name, found)) if name == wanted.name => found,
            _ => reading.read(Lane::Named, &wanted.name).await?,
        };
        observed.missing.extend(missing(field, wanted, found.as_ref()));
        // The edge's certificate is no node's: none will ever say that it has it.
        if !field.starts_with("exposure.") {
            let word = found.as_ref().and_then(|secret| value(secret, &wanted.key));
            reading.words.add(&wanted.name, &wanted.key, word);
        }
        read_last = Some((&wanted.name, found));
    }
    observed.secrets = Some(reading.words.digest());
    Ok(observed)
}

/// Gateways belong to others, who may not want them to be read: then the address is not known, and told so.
async fn gateway(stream: &SseStream, kinds: &Present, cx: &Context) -> Option<DynamicObject> {
    let parent = stream.spec.exposure.as_ref()?.gateway.as_ref()?.parent_refs.first()?;
    if !kinds.contains(&Kind::HttpRoute) {
        return None;
    }
    let gateways = ApiResource::from_gvk(&GroupVersionKind::gvk(Kind::HttpRoute.group(), "v1", "Gateway"));
    let namespace = parent.namespace.as_deref().or(stream.metadata.namespace.as_deref()).unwrap_or("default");
    let api = Api::<DynamicObject>::namespaced_with(cx.client.clone(), namespace, &gateways);
    api.get_opt(&parent.name).await.unwrap_or_else(|error| {
        tracing::debug!(%error, gateway = parent.name, "can't read the Gateway");
        None
    })
}

/// The certificate of the edge, whose pods wait for it.
fn certificate(stream: &SseStream) -> Option<SecretKey> {
    let tls = stream.spec.exposure.as_ref()?.edge.as_ref()?.tls.as_ref()?;
    Some(SecretKey { name: tls.secret_name.clone(), key: "tls.crt".into() })
}

/// The keys of Secrets that the user is to make, in order, each with the first field that refers to it.
fn referred(stream: &SseStream) -> BTreeMap<SecretKey, String> {
    let external = stream.spec.broker.redis.as_ref().and_then(|redis| redis.external.as_ref());
    let mut referred = BTreeMap::new();
    for (field, secret) in external.into_iter().flat_map(External::secret_refs) {
        referred.entry(secret.clone()).or_insert(field);
    }
    for (field, secret) in stream.spec.auth.secret_refs() {
        referred.entry(secret.clone()).or_insert(field);
    }
    if let Some(certificate) = certificate(stream) {
        referred.entry(certificate).or_insert("exposure.edge.tls.secretName".into());
    }
    referred
}

/// One of the operator's own making; and, if it is there already, as the nodes are shown it.
async fn credential(
    purpose: Purpose,
    stream: &SseStream,
    reading: &mut Reading,
) -> Result<(Credential, Option<Token>), Error> {
    let name = purpose.secret(&stream.name_any());
    let found = reading.read(Lane::Own, &name).await?;
    if found.as_ref().is_some_and(|secret| is_leftover(secret, stream)) {
        return Err(Error::Leftover { name });
    }
    let credential = Credential::of(purpose, &name, found.as_ref())?;
    let there = found.as_ref().and_then(|secret| value(secret, purpose.key()));
    reading.words.add(&name, purpose.key(), there.or(credential.made().map(str::as_bytes)));
    Ok((credential, there.and_then(Token::first_of)))
}

fn missing(field: &str, wanted: &SecretKey, found: Option<&Secret>) -> Option<Missing> {
    let only_key = match found {
        None => false,
        Some(secret) if value(secret, &wanted.key).is_none() => true,
        Some(_) => return None,
    };
    Some(Missing { field: field.to_owned(), secret: wanted.clone(), only_key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures::{self, secret};

    #[test]
    fn a_missing_secret_is_told_from_a_missing_key() {
        let wanted = SecretKey { name: "redis-auth".into(), key: "password".into() };
        let told = |found: Option<&Secret>| missing("a.b", &wanted, found).map(|missing| missing.only_key);
        assert_eq!(told(None), Some(false));
        assert_eq!(told(Some(&secret(&[("user", "x")]))), Some(true));
        assert_eq!(told(Some(&secret(&[("password", "")]))), Some(true));
        assert_eq!(told(Some(&secret(&[("password", "x")]))), None);
    }

    #[test]
    fn every_secret_that_the_stream_names_is_looked_for() {
        let stream = fixtures::stream(fixtures::yaml(fixtures::EDGE));
        let told: Vec<_> =
            referred(&stream).into_iter().map(|(s, field)| format!("{}/{} {field}", s.name, s.key)).collect();
        assert_eq!(
            told,
            [
                "company.ca/ca.crt auth.publish.jwt.keys[0].jwks.caSecretRef",
                "jwt-keys/current auth.jwt.keys[0].secretRef",
                "jwt-keys/previous auth.jwt.keys[1].secretRef",
            ]
        );
    }
}
