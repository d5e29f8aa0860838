//! What a node is to do: the manifest it was given, and what only the place where it runs can say.

use std::{path::Path, sync::Arc};

use ssefleet_crds::{
    Stream,
    broker::SecretKey,
    manifest, names,
    validated::{Broker as Where, Invalid},
};
use tracing::info;

use crate::broker::{
    Broker, Retention,
    memory::Memory,
    redis::{Address, Redis},
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
        "--redis {0}: must look like redis://HOST:PORT/DB, or rediss:// for TLS, and hold no password: secrets are read from --secrets-dir"
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
    let file = |key: &SecretKey| secrets.join(&key.name).join(&key.key);
    let address = match (&stream.broker, redis) {
        (_, Some(url)) => {
            if !(url.starts_with("redis://") || url.starts_with("rediss://")) || url.contains('@') {
                return Err(ConfigError::RedisUrl(url.split('@').next_back().unwrap_or_default().into()));
            }
            let password = secrets.join(names::redis(&stream.name)).join("password");
            let password = password.exists().then_some(password);
            Address { url: url.into(), username: None, password, ca: None }
        }
        (Where::ExternalRedis(external), None) => Address {
            url: external.url.clone(),
            username: external.username.as_ref().map(file),
            password: external.password.as_ref().map(file),
            ca: external.ca.as_ref().map(file),
        },
        (Where::ManagedRedis(_), None) => {
            info!("broker.redis.managed: this is no cluster, so events live in memory; --redis URL uses a real Redis");
            return Ok(Arc::new(Memory::new(retention)));
        }
        (Where::Memory, None) => return Ok(Arc::new(Memory::new(retention))),
    };
    info!(url = address.url, "events live in Redis");
    Ok(Arc::new(Redis::new(address, names::log_key(&stream.namespace, &stream.name), retention)))
}
