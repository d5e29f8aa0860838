//! `spec.broker.redis.external`: a Redis that is there already.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretKey;

/// A Redis that is there already.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.tls) || self.url.startsWith('rediss://')").message("broker.redis.external.tls needs a url that begins with rediss://"),
    validation = Rule::new("self.topology != 'Standalone' || !self.url.contains(',')").message("several hosts in broker.redis.external.url need external.topology Sentinel or Cluster"),
    validation = Rule::new("self.topology != 'Sentinel' || has(self.sentinel)").message("topology Sentinel needs broker.redis.external.sentinel.masterName, what the Sentinels call the primary"),
    validation = Rule::new("self.topology == 'Sentinel' || !has(self.sentinel)").message("broker.redis.external.sentinel is only for external.topology Sentinel"),
    validation = Rule::new("self.topology != 'Cluster' || self.url.matches('^[^/]+//[^/]+(/0?)?$')").message("a Redis Cluster has only database 0: end broker.redis.external.url after the port")
)]
pub struct External {
    /// `redis://HOST:PORT/DB`, or `rediss://` for TLS. Without a user name or password: those come from Secrets.
    /// For topology Sentinel the hosts are Sentinels (port 26379 if none is given), for topology Cluster some of the
    /// nodes (port 6379): several, separated by commas, are asked one after the other, and so are all addresses of a name.
    #[schemars(length(max = 2000))]
    #[x_kube(
        validation = Rule::new("self.matches('^rediss?://[^/,]+(,[^/,]+)*(/[0-9]*)?$')").message("broker.redis.external.url must look like redis://HOST:PORT/DB, or rediss:// for TLS"),
        validation = Rule::new("!self.contains('@')").message("broker.redis.external.url may not hold a user name or password: name Secrets in usernameSecretRef and passwordSecretRef")
    )]
    pub url: String,

    /// What is behind `url`. Default Standalone.
    #[serde(default)]
    pub topology: ExternalTopology,

    /// For topology Sentinel: what the Sentinels are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<Sentinel>,

    /// The Secret that holds the user name, for Redis ACLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_secret_ref: Option<SecretKey>,

    /// The Secret that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKey>,

    /// For `rediss://`: how the certificates of servers and Sentinels are checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ExternalTls>,
}

/// What is behind a URL.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalTopology {
    /// One Redis that can be written to, always at this address.
    #[default]
    Standalone,
    /// Sentinels, which know where the primary is.
    Sentinel,
    /// Nodes of a Redis Cluster. A stream's keys lie all in one slot, on one of its primaries.
    Cluster,
}

/// What the Sentinels are asked.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Sentinel {
    /// What they call the primary: the name in their `sentinel monitor`.
    #[schemars(length(min = 1, max = 200))]
    pub master_name: String,

    /// The Secret that holds the user name that the Sentinels themselves want. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_secret_ref: Option<SecretKey>,

    /// The Secret that holds the password that the Sentinels themselves want. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKey>,
}

impl External {
    /// The keys of Secrets that it refers to, each with the field that does, below `spec`.
    pub fn secret_refs(&self) -> impl Iterator<Item = (String, &SecretKey)> {
        let ca = self.tls.as_ref().and_then(|tls| tls.ca_secret_ref.as_ref());
        let sentinel = self.sentinel.as_ref();
        [
            ("usernameSecretRef", self.username_secret_ref.as_ref()),
            ("passwordSecretRef", self.password_secret_ref.as_ref()),
            ("sentinel.usernameSecretRef", sentinel.and_then(|sentinel| sentinel.username_secret_ref.as_ref())),
            ("sentinel.passwordSecretRef", sentinel.and_then(|sentinel| sentinel.password_secret_ref.as_ref())),
            ("tls.caSecretRef", ca),
        ]
        .into_iter()
        .filter_map(|(field, secret)| Some((format!("broker.redis.external.{field}"), secret?)))
    }
}

/// How certificates are checked.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalTls {
    /// The Secret that holds the certificate authority, PEM. Default: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKey>,
}
