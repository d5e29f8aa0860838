//! Where an event goes: POSTed over a connection that is kept, or PUBLISHed on a Redis channel.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::options::Options;
use crate::swarm::options::Url;

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(30);

pub enum Answer {
    /// With the body.
    Acknowledged(Vec<u8>),
    Refused(String),
}

/// One connection, made again when it breaks.
pub enum Target {
    Http { url: Url, connection: Option<SendRequest<Full<Bytes>>> },
    Redis { address: SocketAddr, channel: String, connection: Option<BufReader<TcpStream>> },
}

impl Target {
    pub fn new(options: &Options) -> Self {
        match (&options.url, options.redis) {
            (Some(url), _) => Self::Http { url: url.clone(), connection: None },
            (None, address) => Self::Redis {
                address: address.unwrap_or_else(|| ([127, 0, 0, 1], 6379).into()),
                channel: options.channel.clone(),
                connection: None,
            },
        }
    }

    pub async fn publish(&mut self, topic: Option<u64>, key: Option<&str>, data: &str) -> Answer {
        match timeout(PATIENCE, self.attempt(topic, key, data)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => self.broken(error.to_string()),
            Err(_) => self.broken(format!("no answer in {PATIENCE:?}")),
        }
    }

    fn broken(&mut self, reason: String) -> Answer {
        match self {
            Self::Http { connection, .. } => *connection = None,
            Self::Redis { connection, .. } => *connection = None,
        }
        Answer::Refused(reason)
    }

    async fn attempt(&mut self, topic: Option<u64>, key: Option<&str>, data: &str) -> io::Result<Answer> {
        match self {
            Self::Http { url, connection } => {
                if connection.as_mut().is_none_or(|connection| connection.is_closed()) {
                    *connection = Some(connect(url).await?);
                }
                let Some(connection) = connection else { return Err(io::ErrorKind::NotConnected.into()) };
                post(connection, url, topic, key, data).await.map_err(io::Error::other)
            }
            Self::Redis { address, channel, connection } => {
                if connection.is_none() {
                    *connection = Some(BufReader::new(TcpStream::connect(*address).await?));
                }
                let Some(connection) = connection else { return Err(io::ErrorKind::NotConnected.into()) };
                let (a, b) = (channel.len(), data.len());
                let command = format!("*3\r\n$7\r\nPUBLISH\r\n${a}\r\n{channel}\r\n${b}\r\n{data}\r\n");
                connection.write_all(command.as_bytes()).await?;
                let mut answer = String::new();
                connection.read_line(&mut answer).await?;
                let acknowledged = answer.starts_with(':');
                Ok(if acknowledged { Answer::Acknowledged(Vec::new()) } else { Answer::Refused(answer) })
            }
        }
    }
}

async fn connect(url: &Url) -> io::Result<SendRequest<Full<Bytes>>> {
    let socket = TcpStream::connect(url.address).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
    // An error is told to the sender too.
    tokio::task::spawn_local(async { connection.await.ok() });
    Ok(sender)
}

async fn post(
    connection: &mut SendRequest<Full<Bytes>>,
    url: &Url,
    topic: Option<u64>,
    key: Option<&str>,
    data: &str,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    connection.ready().await?;
    let topic = topic.map(usize::try_from).transpose()?;
    let mut request =
        Request::post(url.path_of(topic)).header("host", url.address.to_string()).header("content-type", "text/plain");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let response = connection.send_request(request.body(Full::from(data.to_owned()))?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(if status.is_success() {
        Answer::Acknowledged(body.into())
    } else {
        Answer::Refused(format!("{status}: {}", String::from_utf8_lossy(&body).trim()))
    })
}
