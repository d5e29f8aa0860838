//! One connection to one server, step by step, so that it can be told which of them fails: its name's addresses, TCP,
//! TLS, and what it wants to see.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures_util::future::select_ok;
use redis::{
    AsyncConnectionConfig, ErrorKind, RedisError,
    aio::{MultiplexedConnection, PubSub},
};
use rustls::pki_types::ServerName;
use ssefleet_crds::part::Part;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{address::Host, connection::Connection, login::Words, refused::broken};
use crate::{
    broker::{BrokerError, Trouble},
    trust::trusting,
};

/// How long each step may take.
const STEP: Duration = Duration::from_secs(2);
/// After so long the next of several addresses or servers is tried too: one that is gone must not hold up the rest.
pub const STAGGER: Duration = Duration::from_millis(200);

/// The bytes of a connection, by TLS or not.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// How servers are reached.
pub struct Dialer {
    tls: Option<TlsConnector>,
    /// The fields that say so, for errors.
    pub login_fields: &'static str,
}

impl Dialer {
    /// `authority` is a PEM file; without one, those of the system are trusted.
    pub fn new(tls: bool, authority: Option<&Path>, login_fields: &'static str) -> Result<Self, BrokerError> {
        let connector = || {
            let config = trusting(authority).map_err(|error| {
                let told = format!("{error}: correct the Secret of broker.redis.external.tls.caSecretRef");
                BrokerError::Unready(Trouble::new(Part::Tls, told))
            })?;
            Ok(TlsConnector::from(Arc::new(config)))
        };
        Ok(Self { tls: tls.then(connector).transpose()?, login_fields })
    }

    /// A connection whose answers may take so long.
    pub async fn connect(
        &self,
        host: &Host,
        words: &Words,
        db: i64,
        answer_within: Duration,
    ) -> Result<Connection, BrokerError> {
        let socket = self.socket(host).await?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(answer_within));
        let info = words.info(db);
        let greeting = async {
            let (redis, driver) = MultiplexedConnection::new_with_config(&info, socket, config).await?;
            let mut connection = Connection::driven_by(redis, driver);
            // Without a password nothing was said yet, and a server that wants TLS is still silent.
            redis::cmd("PING").query_async::<()>(&mut connection).await?;
            Ok(connection)
        };
        self.greeted(host, greeting).await
    }

    /// A connection that listens on channels.
    pub async fn listen(&self, host: &Host, words: &Words, db: i64) -> Result<PubSub, BrokerError> {
        let socket = self.socket(host).await?;
        self.greeted(host, PubSub::new(&words.info(db), socket)).await
    }

    async fn greeted<T>(
        &self,
        host: &Host,
        greeting: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, BrokerError> {
        let failed = match timeout(STEP, greeting).await {
            Ok(Ok(greeted)) => return Ok(greeted),
            Ok(Err(error)) if error.kind() == ErrorKind::AuthenticationFailed => {
                let fields = self.login_fields;
                let told = format!("{host} refuses the user or the password: correct the Secrets of {fields}");
                Trouble::new(Part::Auth, told)
            }
            Ok(Err(error)) => match broken(error.clone()) {
                BrokerError::Away(error) => {
                    let hint =
                        if self.tls.is_some() { "" } else { " (if it wants TLS, the url begins with rediss://)" };
                    Trouble::new(Part::Tcp, format!("{host} ends the connection: {error}{hint}"))
                }
                BrokerError::Refused(trouble) if trouble.part == Part::Auth => {
                    let fields = self.login_fields;
                    Trouble::new(Part::Auth, format!("{host} refuses: {error}; correct the Secrets of {fields}"))
                }
                BrokerError::Unready(trouble) | BrokerError::Refused(trouble) => trouble,
                other => return Err(other),
            },
            Err(_) => Trouble::new(Part::Tcp, format!("{host} accepts connections and says nothing")),
        };
        Err(BrokerError::Unready(failed))
    }

    async fn socket(&self, host: &Host) -> Result<Box<dyn Socket>, BrokerError> {
        self.bytes(host).await.map_err(BrokerError::Unready)
    }

    async fn bytes(&self, host: &Host) -> Result<Box<dyn Socket>, Trouble> {
        let addresses = match host.at {
            Some(at) => vec![at],
            None => addresses(host).await?,
        };
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let tries = addresses.iter().zip(0..).map(|(address, n)| {
            Box::pin(async move {
                sleep(STAGGER * n).await;
                TcpStream::connect(address).await
            })
        });
        let connected = timeout(STEP, select_ok(tries)).await.map_err(|_| late()).flatten();
        let socket = match connected {
            Ok((socket, _)) => socket,
            Err(error) => return Err(Trouble::new(Part::Tcp, format!("no connection to {host} comes about: {error}"))),
        };
        tune(&socket);
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        let wrong = |error: &dyn std::fmt::Display| {
            let told = format!(
                "no TLS with {host} comes about: {error}; broker.redis.external.tls.caSecretRef holds who is trusted, and the certificate must name the host as the url or its Sentinel or Cluster does"
            );
            Trouble::new(Part::Tls, told)
        };
        let name = ServerName::try_from(host.name.clone()).map_err(|error| wrong(&error))?;
        let shaken = timeout(STEP, tls.connect(name, socket)).await.map_err(|_| late()).flatten();
        Ok(Box::new(shaken.map_err(|error| wrong(&error))?))
    }
}

/// Each address of each host as a server of its own; a name that has none just now stays what it is.
pub async fn each(hosts: &[Host]) -> Vec<Host> {
    let mut each = Vec::new();
    for host in hosts {
        match addresses(host).await {
            Ok(found) => each.extend(found.into_iter().map(|at| Host { at: Some(at), ..host.clone() })),
            Err(_) => each.push(host.clone()),
        }
    }
    each
}

async fn addresses(host: &Host) -> Result<Vec<SocketAddr>, Trouble> {
    let unknown = |why: String| Trouble::new(Part::Dns, format!("{} has no address: {why}", host.name));
    let asked = timeout(STEP, lookup_host((host.name.as_str(), host.port))).await;
    let found =
        asked.map_err(|_| unknown("DNS does not answer".into()))?.map_err(|error| unknown(error.to_string()))?;
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() { Err(unknown("DNS knows none".into())) } else { Ok(addresses) }
}

/// Small writes go at once; and what is sent to a machine that is gone is found out. A socket without these works.
fn tune(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    let _ = rustix::net::sockopt::set_socket_keepalive(socket, true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(socket, 10_000);
}
