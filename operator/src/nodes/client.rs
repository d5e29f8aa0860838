//! Asks one node one thing. Whatever stands at that address, an answer costs a bounded time and a bounded size, and no
//! more than so many are awaited at a time over all streams.
//!
//! Each request has a connection of its own: a node is asked every half minute, and an idle connection to each of some
//! thousands would cost both sides more than a handshake within the cluster.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};

use super::{stats::Stats, token::Token};

/// The nodes' admin port, as the Deployment sets it.
pub const PORT: u16 = 9090;
/// Within a cluster a connection takes a millisecond, or does not come about.
const CONNECT: Duration = Duration::from_secs(1);
/// A node that is busy for longer than this with a few figures is not well.
const ANSWER: Duration = Duration::from_secs(3);
/// The largest answer that is read, in bytes: `/stats` has less than two thousand.
const MAX: usize = 64 << 10;
/// So many answers are awaited at a time.
const AT_A_TIME: usize = 64;

/// Why a node gave no answer that is of use.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    #[error("it did not answer within {} s", ANSWER.as_secs())]
    Late,
    #[error("its answer has more than {MAX} bytes")]
    TooLarge,
    #[error("it answered {0}")]
    Refused(StatusCode),
    #[error("its answer is not what a node answers: {0}")]
    Odd(String),
}

/// Speaks to nodes.
pub struct Client {
    places: Semaphore,
    port: u16,
}

impl Default for Client {
    fn default() -> Self {
        Self::at(PORT)
    }
}

impl Client {
    /// One whose nodes have their admin ports elsewhere.
    pub fn at(port: u16) -> Self {
        Self { places: Semaphore::new(AT_A_TIME), port }
    }

    /// What the node tells of itself.
    pub async fn stats(&self, node: IpAddr) -> Result<Stats, Error> {
        let answer = self.ask(node, Method::GET, "/stats", None, Bytes::new()).await?;
        serde_json::from_slice(&answer).map_err(|error| Error::Odd(error.to_string()))
    }

    /// One request and the body of its answer, which has a status of success. Without a token, only probes and figures
    /// are answered.
    pub async fn ask(
        &self,
        node: IpAddr,
        method: Method,
        path: &str,
        token: Option<&Token>,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        let _place = self.places.acquire().await;
        let address = SocketAddr::new(node, self.port);
        let connecting = timeout(CONNECT, TcpStream::connect(address)).await;
        let socket = connecting
            .map_err(|_| Error::Unreachable(format!("{address} does not take a connection")))?
            .map_err(|error| Error::Unreachable(format!("{address}: {error}")))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|error| Error::Odd(format!("{path}: {error}")))?;
        if let Ok(host) = address.to_string().parse() {
            request.headers_mut().insert(header::HOST, host);
        }
        if let Some(token) = token.and_then(Token::header) {
            request.headers_mut().insert(header::AUTHORIZATION, token);
        }
        timeout(ANSWER, exchange(socket, request)).await.map_err(|_| Error::Late)?
    }
}

async fn exchange(socket: TcpStream, request: Request<Full<Bytes>>) -> Result<Bytes, Error> {
    let odd = |error: hyper::Error| Error::Odd(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(odd)?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(odd)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Error::Refused(status));
        }
        match Limited::new(answer.into_body(), MAX).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge),
            Err(error) => Err(Error::Odd(error.to_string())),
        }
    };
    tokio::pin!(asking, connection);
    // The connection is driven only as long as its one answer is awaited, and dropped with it.
    tokio::select! {
        biased;
        answer = &mut asking => answer,
        ended = &mut connection => {
            ended.map_err(odd)?;
            asking.await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// What is asked of a server that writes `answer` and, if need be, goes on writing; and what the client makes of it.
    async fn told(answer: &'static str, then: &'static [u8]) -> (String, Result<Stats, Error>) {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let client = Client::at(listener.local_addr().unwrap().port());
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let read = socket.read(&mut asked).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
            while !then.is_empty() && socket.write_all(then).await.is_ok() {}
            let _ = socket.read(&mut [0]).await; // until the client leaves
            String::from_utf8(asked[..read].to_vec()).unwrap()
        });
        let stats = client.stats(HERE).await;
        (server.await.unwrap(), stats)
    }

    #[tokio::test]
    async fn a_node_tells_of_itself() {
        let (asked, stats) = told("HTTP/1.1 200 OK\r\ncontent-length: 23\r\n\r\n{\"activeConnections\":3}", b"").await;
        assert!(asked.starts_with("GET /stats HTTP/1.1\r\nhost: 127.0.0.1:"), "{asked}");
        assert_eq!(stats.unwrap().active_connections, 3);
    }

    #[tokio::test]
    async fn what_is_no_node_costs_a_bounded_time_and_size() {
        let (_, endless) = told("HTTP/1.1 200 OK\r\n\r\n", b"                                        ").await;
        assert_eq!(endless, Err(Error::TooLarge));
        let (_, silent) = told("HTTP/1.1 200 OK\r\n", b"").await;
        assert_eq!(silent, Err(Error::Late));
        let (_, refused) = told("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", b"").await;
        assert_eq!(refused, Err(Error::Refused(StatusCode::UNAUTHORIZED)));
        let (_, odd) = told("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"").await;
        assert!(matches!(odd, Err(Error::Odd(_))), "{odd:?}");
        let nobody = TcpListener::bind((HERE, 0)).await.unwrap().local_addr().unwrap().port();
        assert!(matches!(Client::at(nobody).stats(HERE).await, Err(Error::Unreachable(_))));
    }
}
