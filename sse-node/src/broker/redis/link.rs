//! Connections to Redis: made when needed, with the credentials of that moment, and forgotten when they fail.

use std::{io, path::PathBuf, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, RedisError, TlsCertificates,
    aio::{MultiplexedConnection, PubSub},
};
use tokio::{sync::Mutex, time::timeout};

use crate::broker::BrokerError;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);

/// Where Redis is and what it wants to see. Secrets are files, read anew at each connection, so that a
/// password that was changed is picked up.
#[derive(Clone, Debug)]
pub struct Address {
    /// Without credentials.
    pub url: String,
    pub username: Option<PathBuf>,
    pub password: Option<PathBuf>,
    /// PEM. None: the system's authorities.
    pub ca: Option<PathBuf>,
}

impl Address {
    fn client(&self) -> Result<Client, BrokerError> {
        let mut info: ConnectionInfo = self.url.as_str().into_connection_info().map_err(BrokerError::Refused)?;
        let mut redis = info.redis_settings().clone();
        if let Some(username) = secret(self.username.as_ref())? {
            redis = redis.set_username(username.trim_end());
        }
        if let Some(password) = secret(self.password.as_ref())? {
            redis = redis.set_password(password.trim_end());
        }
        info = info.set_redis_settings(redis);
        let client = if self.url.starts_with("rediss://") {
            let root_cert = secret(self.ca.as_ref())?.map(String::into_bytes);
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
        } else {
            Client::open(info)
        };
        client.map_err(BrokerError::Refused)
    }

    /// A connection whose answers may take so long.
    pub async fn connect(&self, answer_within: Duration) -> Result<MultiplexedConnection, BrokerError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(answer_within));
        let connecting = self.client()?.get_multiplexed_async_connection_with_config(&config).await;
        connecting.map_err(|error| unready(broken(error)))
    }

    /// A connection that listens on channels.
    pub async fn listen(&self) -> Result<PubSub, BrokerError> {
        let client = self.client()?;
        let connecting = timeout(CONNECT, client.get_async_pubsub()).await;
        let late = |_| BrokerError::Unready(RedisError::from(io::Error::from(io::ErrorKind::TimedOut)));
        connecting.map_err(late)?.map_err(|error| unready(broken(error)))
    }
}

fn secret(path: Option<&PathBuf>) -> Result<Option<String>, BrokerError> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| BrokerError::Secret { path: path.display().to_string(), error })
    };
    path.map(read).transpose()
}

/// What went wrong, as something that whoever runs the fleet can act on.
pub fn broken(error: RedisError) -> BrokerError {
    let gone = error.is_io_error() || error.is_timeout() || error.is_connection_dropped();
    // A transaction names the errors of its commands only in its text.
    let full = error.code() == Some("OOM") || error.to_string().contains("error: \"OOM\"");
    match error.code() {
        _ if full => BrokerError::Full,
        // Not up yet, or no longer the one to write to: another connection may find one that is.
        Some("LOADING" | "MASTERDOWN" | "READONLY" | "TRYAGAIN") => BrokerError::Unready(error),
        _ if gone => BrokerError::Away(error),
        _ => BrokerError::Refused(error),
    }
}

/// An error of a connection that never came about: nothing was sent on it.
fn unready(error: BrokerError) -> BrokerError {
    match error {
        BrokerError::Away(error) => BrokerError::Unready(error),
        other => other,
    }
}

/// One connection, shared by all who send commands that answer at once.
pub struct Shared {
    address: Address,
    answer_within: Duration,
    /// The connection and how many there were before it.
    current: Mutex<(u64, Option<MultiplexedConnection>)>,
}

impl Shared {
    pub fn new(address: Address, answer_within: Duration) -> Self {
        Self { address, answer_within, current: Mutex::new((0, None)) }
    }

    /// The connection and its number. A new one is greeted before anyone else gets it.
    pub async fn get(
        &self,
        greet: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<(), BrokerError>,
    ) -> Result<(u64, MultiplexedConnection), BrokerError> {
        // Whoever comes while one connects waits for the same connection.
        let mut current = self.current.lock().await;
        if let (number, Some(connection)) = &*current {
            return Ok((*number, connection.clone()));
        }
        let mut connection = self.address.connect(self.answer_within).await?;
        greet(&mut connection).await.map_err(unready)?;
        current.0 += 1;
        current.1 = Some(connection.clone());
        Ok((current.0, connection))
    }

    /// Makes the next one connect anew.
    pub fn forget(&self, number: u64) {
        // Held only while another connects, who then replaces what is to be forgotten.
        if let Ok(mut current) = self.current.try_lock()
            && current.0 == number
        {
            current.1 = None;
        }
    }
}
