//! A stream that has been checked: the form that the operator's builders and the node work from.
//!
//! [`Stream`] has no invalid state, no wire notation and no defaults left to fill in. The API server has
//! checked a live object by the same schema already, so [`Stream::try_from`] only converts; a file is
//! checked by [`crate::manifest`] first.

use std::time::Duration;

use ipnet::IpNet;

use crate::{
    SseStream,
    auth::Auth,
    autoscaling::Autoscaling,
    broker::{self, ExternalTls, ExternalTopology, Persistence, SecretKey, Topology},
    compression::Compression,
    connections::{RefuseWith, SlowConsumer},
    edition::Edition,
    exposure::Exposure,
    fleet::{Pod, Resources},
    rate_limits::{self, ConcurrentLimit, ConnectLimit, PublishLimit, WhenRedisIsAway},
    units,
};

/// A stream that has been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    pub name: String,
    pub namespace: String,
    /// Which edition of the manifest this is.
    pub edition: Edition,
    /// The HTTP path that subscribes.
    pub path: String,
    pub replicas: i32,
    pub drain: Drain,
    pub pod: Pod,
    pub connections: Connections,
    pub auth: Auth,
    pub rate_limits: RateLimits,
    pub cors: Option<Cors>,
    pub compression: Compression,
    pub history: History,
    pub broker: Broker,
    /// The Redis channel whose messages reach every connection.
    pub broadcast_channel: Option<String>,
    pub confirm: Confirm,
    /// The ways in from outside; none is set by default.
    pub exposure: Exposure,
    pub autoscaling: Option<Autoscaling>,
}

/// How a node that is to stop lets go of its connections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drain {
    pub timeout: Duration,
    pub reconnects_per_second: u32,
}

/// What each connection gets, and how many a node takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connections {
    pub max_per_pod: usize,
    pub heartbeat_interval: Duration,
    pub retry: Duration,
    pub stale_after: Duration,
    pub max_age: Duration,
    pub slow_consumer: SlowConsumer,
    pub max_lag: Duration,
    pub refuse_with: RefuseWith,
}

/// How often, and how many at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RateLimits {
    pub connect: Option<ConnectLimit>,
    pub concurrent: Option<ConcurrentLimit>,
    pub publish: Option<PublishLimit>,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    pub when_redis_is_away: WhenRedisIsAway,
}

/// Which web pages of other origins may read the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Cors {
    pub allowed_origins: Vec<String>,
    pub allow_credentials: bool,
    pub max_age: Duration,
}

/// How far back a subscriber can resume, and how large an event may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct History {
    pub max_events: usize,
    pub max_age: Duration,
    pub max_bytes: usize,
    pub max_event_bytes: usize,
}

/// Where events are kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Broker {
    Memory,
    ManagedRedis(ManagedRedis),
    ExternalRedis(ExternalRedis),
}

/// A Redis that the operator runs for this stream.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagedRedis {
    /// In bytes, for the volume claim.
    pub storage: u64,
    pub storage_class: Option<String>,
    pub resources: Option<Resources>,
    pub persistence: Persistence,
    /// How many pods with a Sentinel each, one of them the primary; `None` for a single Redis without Sentinel.
    pub replicated: Option<i32>,
    pub image: Option<String>,
}

/// A Redis that is there already. Its URL never holds credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalRedis {
    pub url: String,
    pub topology: RedisTopology,
    pub username: Option<SecretKey>,
    pub password: Option<SecretKey>,
    pub ca: Option<SecretKey>,
}

impl ExternalRedis {
    /// The keys of Secrets that a node reads to reach it.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretKey> {
        let sentinel = match &self.topology {
            RedisTopology::Sentinel { username, password, .. } => [username.as_ref(), password.as_ref()],
            RedisTopology::Standalone | RedisTopology::Cluster => [None, None],
        };
        [&self.username, &self.password, &self.ca].into_iter().map(Option::as_ref).chain(sentinel).flatten()
    }
}

/// What is behind a URL.
#[derive(Clone, Debug, PartialEq)]
pub enum RedisTopology {
    Standalone,
    Sentinel { master_name: String, username: Option<SecretKey>, password: Option<SecretKey> },
    Cluster,
}

/// How many replicas must have an event, and how long they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    pub replicas: u32,
    pub timeout: Duration,
}

impl Confirm {
    /// By none: what the primary has is enough.
    pub const NONE: Self = Self { replicas: 0, timeout: Duration::ZERO };
}

/// What is wrong with a stream, and where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    pub field: String,
    pub message: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Stream {
    /// The fields in which `wanted` differs and that a node reads at its start only; all else is taken over while it
    /// runs. The pods' annotation is a hash of just these.
    pub fn changed_at_start(&self, wanted: &Self) -> Vec<&'static str> {
        [
            ("metadata.name", wanted.name != self.name),
            ("metadata.namespace", wanted.namespace != self.namespace),
            ("spec.broker", wanted.broker != self.broker),
            ("spec.broker.redis.broadcastChannel", wanted.broadcast_channel != self.broadcast_channel),
        ]
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect()
    }
}

impl TryFrom<&SseStream> for Stream {
    type Error = Invalid;

    fn try_from(object: &SseStream) -> Result<Self, Invalid> {
        let spec = &object.spec;
        let fleet = &spec.fleet;
        let connections = &spec.connections;
        let size = |field: &str, value| {
            units::bytes(value)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| Invalid::new(format!("spec.{field}"), "must be a quantity, for example 256Ki"))
        };
        Ok(Self {
            name: object
                .metadata
                .name
                .clone()
                .ok_or_else(|| Invalid::new("metadata.name", "must be given: it names the stream's children"))?,
            namespace: object.metadata.namespace.clone().unwrap_or_else(|| "default".into()),
            edition: Edition::from(object),
            path: spec.path.clone(),
            replicas: fleet.replicas,
            drain: Drain {
                timeout: fleet.drain.timeout.into(),
                reconnects_per_second: fleet.drain.reconnects_per_second.max(1),
            },
            pod: fleet.pod.clone(),
            connections: Connections {
                max_per_pod: connections.max_per_pod as usize,
                heartbeat_interval: connections.heartbeat_interval.into(),
                retry: connections.retry.into(),
                stale_after: connections.stale_after.into(),
                max_age: connections.max_age.into(),
                slow_consumer: connections.slow_consumer,
                max_lag: connections.max_lag.into(),
                refuse_with: connections.refuse_with,
            },
            auth: spec.auth.clone(),
            rate_limits: spec.rate_limits.as_ref().map(RateLimits::try_from).transpose()?.unwrap_or_default(),
            cors: spec.cors.as_ref().map(|cors| Cors {
                allowed_origins: cors.allowed_origins.clone(),
                allow_credentials: cors.allow_credentials,
                max_age: cors.max_age.into(),
            }),
            compression: spec.compression.clone(),
            history: History {
                max_events: spec.history.max_events as usize,
                max_age: spec.history.max_age.into(),
                max_bytes: size("history.maxBytes", &spec.history.max_bytes)?,
                max_event_bytes: size("history.maxEventBytes", &spec.history.max_event_bytes)?,
            },
            broker: Broker::try_from(&spec.broker)?,
            broadcast_channel: spec
                .broker
                .redis
                .as_ref()
                .map(|redis| redis.broadcast_channel.clone())
                .filter(|channel| !channel.is_empty()),
            confirm: spec.broker.redis.as_ref().map_or(Confirm::NONE, Confirm::from),
            exposure: spec.exposure.clone().unwrap_or_default(),
            autoscaling: spec.autoscaling.clone(),
        })
    }
}

impl RateLimits {
    /// Whether anything is counted.
    pub fn any(&self) -> bool {
        self.connect.is_some() || self.concurrent.is_some() || self.publish.is_some()
    }
}

impl TryFrom<&rate_limits::RateLimits> for RateLimits {
    type Error = Invalid;

    fn try_from(limits: &rate_limits::RateLimits) -> Result<Self, Invalid> {
        let network = |cidr: &String| {
            let wrong = |_| Invalid::new("spec.rateLimits.trustedProxies", format!("{cidr} is no CIDR"));
            cidr.parse::<IpNet>().map_err(wrong)
        };
        Ok(Self {
            connect: limits.connect.clone(),
            concurrent: limits.concurrent.clone(),
            publish: limits.publish.clone(),
            trusted_proxies: limits.trusted_proxies.iter().map(network).collect::<Result<_, _>>()?,
            when_redis_is_away: limits.when_redis_is_away,
        })
    }
}

/// The pods of a managed Redis of topology Replicated, if the stream does not say.
const REPLICAS: i32 = 3;

impl From<&broker::Redis> for Confirm {
    fn from(redis: &broker::Redis) -> Self {
        let replicated = redis.managed.as_ref().is_some_and(|managed| managed.topology == Topology::Replicated);
        let declared = redis.confirm.clone().unwrap_or_default();
        Self { replicas: declared.replicas.unwrap_or(u32::from(replicated)), timeout: declared.timeout.into() }
    }
}

impl TryFrom<&broker::External> for RedisTopology {
    type Error = Invalid;

    fn try_from(external: &broker::External) -> Result<Self, Invalid> {
        match (external.topology, &external.sentinel) {
            (ExternalTopology::Standalone, None) => Ok(Self::Standalone),
            (ExternalTopology::Cluster, None) => Ok(Self::Cluster),
            (ExternalTopology::Sentinel, Some(sentinel)) => Ok(Self::Sentinel {
                master_name: sentinel.master_name.clone(),
                username: sentinel.username_secret_ref.clone(),
                password: sentinel.password_secret_ref.clone(),
            }),
            _ => Err(Invalid::new(
                "spec.broker.redis.external.sentinel",
                "must be given for external.topology Sentinel, and only for that",
            )),
        }
    }
}

impl TryFrom<&broker::Broker> for Broker {
    type Error = Invalid;

    fn try_from(broker: &broker::Broker) -> Result<Self, Invalid> {
        let redis = match (&broker.memory, &broker.redis) {
            (Some(_), None) => return Ok(Self::Memory),
            (None, Some(redis)) => redis,
            _ => return Err(Invalid::new("spec.broker", "broker needs exactly one of memory and redis")),
        };
        match (&redis.managed, &redis.external) {
            (Some(managed), None) => Ok(Self::ManagedRedis(ManagedRedis {
                storage: units::bytes(&managed.storage.size).ok_or_else(|| {
                    Invalid::new("spec.broker.redis.managed.storage.size", "must be a quantity, for example 1Gi")
                })?,
                storage_class: managed.storage.class_name.clone(),
                resources: managed.resources.clone(),
                persistence: managed.persistence,
                replicated: match managed.topology {
                    Topology::Standalone => None,
                    Topology::Replicated => Some(managed.replicas.unwrap_or(REPLICAS)),
                },
                image: managed.image.clone(),
            })),
            (None, Some(external)) => Ok(Self::ExternalRedis(ExternalRedis {
                url: external.url.clone(),
                topology: RedisTopology::try_from(external)?,
                username: external.username_secret_ref.clone(),
                password: external.password_secret_ref.clone(),
                ca: external.tls.as_ref().and_then(|ExternalTls { ca_secret_ref }| ca_secret_ref.clone()),
            })),
            _ => Err(Invalid::new("spec.broker.redis", "broker.redis needs exactly one of managed and external")),
        }
    }
}
