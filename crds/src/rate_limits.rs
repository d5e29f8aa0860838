//! `spec.rateLimits`: how often, and how many at a time.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    connections::RefuseWith,
    units::{Duration, seconds},
};

/// How often, and how many at a time; counted over all nodes of the stream.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RateLimits {
    /// How often one may subscribe. A reconnect that the fleet itself has asked for (a drain, `connections.maxAge`)
    /// does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<ConnectLimit>,

    /// How many streams one may have at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<ConcurrentLimit>,

    /// How many events one may publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<PublishLimit>,

    /// The proxies whose X-Forwarded-For is believed, as CIDRs: the client is the last address in it that is none of
    /// theirs. Default: none, and the client is whoever connects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 50)))]
    #[x_kube(validation = Rule::new("self.all(cidr, isCIDR(cidr))").message("rateLimits.trustedProxies must be CIDRs, for example 10.0.0.0/8 or fd00::/8"))]
    pub trusted_proxies: Vec<String>,

    /// What holds while Redis does not answer. Default CountLocally.
    #[serde(default)]
    pub when_redis_is_away: WhenRedisIsAway,
}

/// How often one may subscribe.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.per == 'Header') == has(self.header)").message("rateLimits.connect.header is for per: Header, which needs it"))]
pub struct ConnectLimit {
    /// How many in the window. Default 10.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: u32,

    /// The window, which slides. A Go duration. Default 15m.
    #[serde(default = "default_window")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("rateLimits.connect.window must be from 1s to 24h"))]
    pub window: Duration,

    /// Who is one. Default ClientIp.
    #[serde(default)]
    pub per: Per,

    /// The header field that tells who is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9-]+$')").message("rateLimits.connect.header must be a header field's name, for example X-Api-Key"))]
    pub header: Option<String>,

    /// What one who is refused is told.
    #[serde(default = "default_connect_message")]
    #[schemars(length(min = 1, max = 500))]
    pub message: String,

    /// How one is refused: `Status` is 429. Default Auto.
    #[serde(default)]
    pub refuse_with: RefuseWith,
}

/// How many streams one may have at a time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.per == 'Header') == has(self.header)").message("rateLimits.concurrent.header is for per: Header, which needs it"))]
pub struct ConcurrentLimit {
    /// How many at a time. Default 20.
    #[serde(default = "default_concurrent")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: u32,

    /// Who is one. Default ClientIp.
    #[serde(default)]
    pub per: Per,

    /// The header field that tells who is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9-]+$')").message("rateLimits.concurrent.header must be a header field's name, for example X-Api-Key"))]
    pub header: Option<String>,

    /// What one who is refused is told.
    #[serde(default = "default_concurrent_message")]
    #[schemars(length(min = 1, max = 500))]
    pub message: String,

    /// How one is refused: `Status` is 429. Default Auto.
    #[serde(default)]
    pub refuse_with: RefuseWith,
}

/// How many events one may publish.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.per == 'Header') == has(self.header)").message("rateLimits.publish.header is for per: Header, which needs it"))]
pub struct PublishLimit {
    /// How many events in the window. Default 1000.
    #[serde(default = "default_events")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub max: u32,

    /// The window, which slides. A Go duration. Default 1s.
    #[serde(default = "default_publish_window")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message("rateLimits.publish.window must be from 1s to 24h"))]
    pub window: Duration,

    /// Who is one. Default ClientIp.
    #[serde(default)]
    pub per: Per,

    /// The header field that tells who is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9-]+$')").message("rateLimits.publish.header must be a header field's name, for example X-Api-Key"))]
    pub header: Option<String>,

    /// What one who is refused is told.
    #[serde(default = "default_publish_message")]
    #[schemars(length(min = 1, max = 500))]
    pub message: String,
}

/// Who is one, for a limit.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Per {
    /// An IPv4 address, or the first 64 bits of an IPv6 address, which is what one customer is given.
    #[default]
    ClientIp,
    /// The `sub` of the token.
    Subject,
    /// The value of a header field.
    Header,
}

/// What holds while Redis does not answer.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenRedisIsAway {
    /// Each node counts by itself: a limit is then by node.
    #[default]
    CountLocally,
    /// What has a limit is refused.
    Refuse,
}

fn default_max() -> u32 {
    10
}

fn default_window() -> Duration {
    seconds(15 * 60)
}

fn default_concurrent() -> u32 {
    20
}

fn default_events() -> u32 {
    1000
}

fn default_publish_window() -> Duration {
    seconds(1)
}

fn default_connect_message() -> String {
    "too many connections; try again later".into()
}

fn default_concurrent_message() -> String {
    "too many streams at a time; close one first".into()
}

fn default_publish_message() -> String {
    "too many events; slow down".into()
}
