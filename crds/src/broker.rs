//! `spec.broker`: where events are kept.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::Resources;

/// Where events are kept, so that every node serves the same log. Exactly one of its members.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.memory) != has(self.redis)").message("broker needs exactly one of memory and redis"))]
pub struct Broker {
    /// Events live in the node's memory and end with it: for one node, tests and laptops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,

    /// Events live in a Redis stream (Redis or Valkey, 7 or newer), the same for every node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Redis>,
}

impl Default for Broker {
    fn default() -> Self {
        Self { memory: None, redis: Some(Redis { managed: Some(Managed::default()), ..Redis::default() }) }
    }
}

/// Nothing to set.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct Memory {}

/// A Redis that the operator runs, or one of yours. Exactly one of its members.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.managed) != has(self.external)").message("broker.redis needs exactly one of managed and external"))]
pub struct Redis {
    /// The operator runs one Redis for this stream, with append-only persistence and a password of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Managed>,

    /// A Redis that is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,

    /// A message that is PUBLISHed on this Redis channel reaches every connection of every node, live only:
    /// without an id, and not kept. Default `sse-broadcast`; empty for none.
    #[serde(default = "default_broadcast_channel")]
    #[schemars(length(max = 200))]
    pub broadcast_channel: String,
}

fn default_broadcast_channel() -> String {
    "sse-broadcast".into()
}

impl Default for Redis {
    fn default() -> Self {
        Self { managed: None, external: None, broadcast_channel: default_broadcast_channel() }
    }
}

/// The operator runs one Redis for this stream.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Managed {
    /// The volume that holds the log.
    #[serde(default)]
    pub storage: Storage,

    /// Compute resources of the Redis container. Default: requests of 100m CPU and 128Mi, a memory limit
    /// of 512Mi. Redis itself is told to keep under three quarters of the memory limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// The volume that holds the log.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("broker.redis.managed.storage can't be changed in place: make a new stream with the new storage and move the publishers over"))]
pub struct Storage {
    /// The size of the volume, a quantity. Default 1Gi.
    #[serde(default = "default_size")]
    #[x_kube(validation = Rule::new("isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('16Mi')) >= 0").message("storage.size must be a quantity of at least 16Mi, for example 1Gi"))]
    pub size: IntOrString,

    /// The StorageClass. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
}

fn default_size() -> IntOrString {
    IntOrString::String("1Gi".into())
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: default_size(), class_name: None }
    }
}

/// A Redis that is there already.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.tls) || self.url.startsWith('rediss://')").message("broker.redis.external.tls needs a url that begins with rediss://"))]
pub struct External {
    /// `redis://HOST:PORT/DB`, or `rediss://` for TLS. Without a user name or password: those come from Secrets.
    #[schemars(length(max = 2000))]
    #[x_kube(
        validation = Rule::new("self.matches('^rediss?://[^/]+(/[0-9]*)?$')").message("broker.redis.external.url must look like redis://HOST:PORT/DB, or rediss:// for TLS"),
        validation = Rule::new("!self.contains('@')").message("broker.redis.external.url may not hold a user name or password: name Secrets in usernameSecretRef and passwordSecretRef")
    )]
    pub url: String,

    /// The Secret that holds the user name, for Redis ACLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_secret_ref: Option<SecretKey>,

    /// The Secret that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKey>,

    /// For `rediss://`: how the server's certificate is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ExternalTls>,
}

impl External {
    /// The keys of Secrets that it refers to, each with the field that does, below `spec`.
    pub fn secret_refs(&self) -> impl Iterator<Item = (String, &SecretKey)> {
        let ca = self.tls.as_ref().and_then(|tls| tls.ca_secret_ref.as_ref());
        [
            ("usernameSecretRef", self.username_secret_ref.as_ref()),
            ("passwordSecretRef", self.password_secret_ref.as_ref()),
            ("tls.caSecretRef", ca),
        ]
        .into_iter()
        .filter_map(|(field, secret)| Some((format!("broker.redis.external.{field}"), secret?)))
    }
}

/// How the server's certificate is checked.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalTls {
    /// The Secret that holds the certificate authority, PEM. Default: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKey>,
}

/// One key of a Secret in the stream's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("the name of a Secret holds only lower-case letters, digits, '-' and '.'"))]
    pub name: String,

    /// The key within the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && !self.startsWith('..')").message("the key of a Secret holds only letters, digits, '-', '_' and '.'"))]
    pub key: String,
}
