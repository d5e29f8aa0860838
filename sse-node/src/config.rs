//! What a node is to do: the manifest it was given, and what only the place where it runs can say.
//!
//! The manifest may change while the node runs; [`Current`] is what holds now, and `changes` keeps it so.

use std::{path::Path, sync::Arc};

use parking_lot::RwLock;
use serde_json::{Value, json};

use ssefleet_crds::{
    Stream,
    broker::SecretKey,
    manifest, names,
    validated::{Broker as Where, Invalid, RedisTopology},
};
use tracing::{info, warn};

use crate::broker::{
    Broker, Retention,
    memory::Memory,
    redis::{Address, Redis, Topology},
};

/// Why a node can't start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error("{path}: {error}")]
    Refused { path: String, error: manifest::Refused },
    #[error("{path}: {error}")]
    Invalid { path: String, error: Invalid },
    #[error(
        "--redis {0}: must look like redis://HOST:PORT/DB, or rediss:// for TLS, name one server, and hold no password: secrets are read from --secrets-dir"
    )]
    RedisUrl(String),
}

/// Reads the manifest.
pub fn read(file: &Path) -> Result<Stream, ConfigError> {
    let path = || file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError::Unreadable { path: path(), error })?;
    let object = manifest::read(&text).map_err(|error| ConfigError::Refused { path: path(), error })?;
    Stream::try_from(&object).map_err(|error| ConfigError::Invalid { path: path(), error })
}

/// The broker that the stream asks for. A managed Redis exists only in a cluster, where the operator hands
/// nodes its address; anywhere else it is the embedded memory broker, or the Redis of `--redis`.
pub fn broker(stream: &Stream, redis: Option<&str>, secrets: &Path) -> Result<Arc<dyn Broker>, ConfigError> {
    let retention = Retention::from(&stream.history);
    let elsewhere = redis.is_some();
    let file = |key: &SecretKey| secrets.join(&key.name).join(&key.key);
    let address = match (&stream.broker, redis) {
        (_, Some(url)) => {
            if !(url.starts_with("redis://") || url.starts_with("rediss://")) || url.contains(['@', ',']) {
                return Err(ConfigError::RedisUrl(url.split('@').next_back().unwrap_or_default().into()));
            }
            let password = secrets.join(names::redis(&stream.name)).join("password");
            let password = password.exists().then_some(password);
            Address { password, ..Address::new(url) }
        }
        (Where::ExternalRedis(external), None) => Address {
            topology: match &external.topology {
                RedisTopology::Standalone => Topology::Standalone,
                RedisTopology::Sentinel { master_name, username, password } => Topology::Sentinel {
                    master_name: master_name.clone(),
                    username: username.as_ref().map(file),
                    password: password.as_ref().map(file),
                },
                RedisTopology::Cluster => Topology::Cluster,
            },
            username: external.username.as_ref().map(file),
            password: external.password.as_ref().map(file),
            ca: external.ca.as_ref().map(file),
            ..Address::new(&external.url)
        },
        (Where::ManagedRedis(_), None) => {
            info!("broker.redis.managed: this is no cluster, so events live in memory; --redis URL uses a real Redis");
            return Ok(Arc::new(Memory::new(retention)));
        }
        (Where::Memory, None) => return Ok(Arc::new(Memory::new(retention))),
    };
    info!(url = address.url, "events live in Redis");
    let redis = Redis::new(address, names::log_key(&stream.namespace, &stream.name), retention);
    // A Redis of --redis may have no replicas, whatever the manifest says of another.
    Ok(Arc::new(if elsewhere { redis } else { redis.confirmed(stream.confirm) }))
}

/// The stream as it is declared now.
pub struct Current(RwLock<State>);

struct State {
    stream: Arc<Stream>,
    loaded: jiff::Timestamp,
    /// Why the file is not what holds, if it is not.
    error: Option<String>,
    /// Fields that were changed and can't change while the node runs.
    needs_restart: Vec<&'static str>,
}

impl Current {
    pub fn new(stream: Stream) -> Arc<Self> {
        let loaded = jiff::Timestamp::now();
        let state = State { stream: Arc::new(stream), loaded, error: None, needs_restart: Vec::new() };
        Arc::new(Self(RwLock::new(state)))
    }

    pub fn get(&self) -> Arc<Stream> {
        self.0.read().stream.clone()
    }

    /// For `/stats`.
    pub fn report(&self) -> Value {
        let state = self.0.read();
        json!({
            "generation": state.stream.edition.generation,
            "secrets": state.stream.edition.secrets,
            "loaded": state.loaded.to_string(),
            "error": state.error,
            "needsRestart": state.needs_restart,
        })
    }

    /// The manifest has changed and can't be used; what was before still holds.
    pub fn refuse(&self, error: &ConfigError) {
        self.0.write().error = Some(error.to_string());
    }

    /// Takes over what can change while the node runs, and notes what can't.
    pub fn change(&self, wanted: Stream) {
        let now = self.get();
        let needs_restart = now.changed_at_start(&wanted);
        if needs_restart.is_empty() {
            info!("the manifest has changed and holds from now on");
        } else {
            warn!(fields = ?needs_restart, "the manifest has changed; these fields hold only after a restart");
        }
        let stream = Stream {
            name: now.name.clone(),
            namespace: now.namespace.clone(),
            broker: now.broker.clone(),
            broadcast_channel: now.broadcast_channel.clone(),
            ..wanted
        };
        let loaded = jiff::Timestamp::now();
        *self.0.write() = State { stream: Arc::new(stream), loaded, error: None, needs_restart };
    }
}
