//! The public listener: `GET path` subscribes, `GET /health` says that the process lives.
//!
//! A plain HTTP/1 subscription that is the first request of its connection is served on the bare socket, which
//! a shard then owns. Any other (by HTTP/2, by TLS, on a connection that had other requests before) goes by way
//! of hyper: the shard writes to one end of a socket pair, and the body is what comes out at the other.

use std::{
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use hyper::{Method, Request, StatusCode, body::Incoming, header::HeaderValue};
use ssefleet_crds::{Stream, validated::Connections};
use tokio::net::TcpStream;

use super::{
    accept::{Coded, coded},
    admit::{Admitted, Door},
    ask::Ask,
    cors::{self, Added},
    fields::Fields,
    first::Get,
    pipe::{pair, read_out},
    probe::Probes,
    respond::{self, Response},
    room::{Handler, Handover},
};
use crate::{
    encode::{Body, Framing},
    fanout::{audience::Newcomer, shard::Socket},
};

/// Between a shard and hyper lies no more than this, in bytes; what is not taken is not lost, but lags.
const PIPE: usize = 32 << 10;

/// Answers subscribers.
pub struct Public {
    pub door: Door,
    pub probes: Probes,
    /// What this node is called, sent as `X-Sse-Node`.
    pub node: Option<HeaderValue>,
    /// Of the next connection.
    pub ids: AtomicU64,
}

impl Handler for Public {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let stream = self.door.current.get();
        let query = request.uri().query().unwrap_or_default();
        match request.uri().path() {
            path if path == stream.path => match *request.method() {
                Method::GET => self.subscribe(&request, peer, &stream).await,
                ref other => {
                    let field = |name| respond::header(request.headers(), name);
                    let (cors, origin) = (stream.cors.as_ref(), field("origin"));
                    let preflight = cors::preflight(cors, origin, field("access-control-request-method"));
                    match (other, preflight) {
                        (&Method::OPTIONS, Some(preflight)) => preflight,
                        (&Method::HEAD, _) => {
                            let ask = Ask { query, fields: Fields::Map(request.headers()), peer };
                            let answer = match self.door.auth.subscriber(&ask).await {
                                Ok(_) => self
                                    .signed(respond::stream(Bytes::new()), coded(stream.compression.mode, ask.fields)),
                                Err(denied) => denied.answer(),
                            };
                            cors::with(answer, &cors::fields(cors, origin))
                        }
                        _ => respond::not_allowed(other, "GET, HEAD, OPTIONS"),
                    }
                }
            },
            "/health" => match *request.method() {
                Method::GET | Method::HEAD => respond::text("text/plain", "ok\n"),
                ref other => respond::not_allowed(other, "GET, HEAD, OPTIONS"),
            },
            _ => respond::not_found(&format!("nothing is served here; the stream is at {}", stream.path)),
        }
    }

    async fn take_over(&self, request: &Get<'_>, socket: TcpStream, peer: SocketAddr) -> Handover {
        let stream = self.door.current.get();
        if request.path != stream.path {
            return Handover::Left(socket, None);
        }
        let ask = Ask { query: request.query, fields: request.fields(), peer };
        if let Some(probed) = self.probes.answer(ask.fields, &stream) {
            return Handover::Left(socket, Some(self.signed(probed, coded(stream.compression.mode, Fields::Raw(&[])))));
        }
        let admitted = match self.door.admit(&ask, &stream).await {
            Ok(admitted) => admitted,
            Err(refused) => return Handover::Left(socket, Some(refused)),
        };
        let Ok(socket) = socket.into_std() else { return Handover::Taken };
        keep_watch(&socket, &stream.connections);
        let framing = if request.chunked { Framing::Chunked } else { Framing::Plain };
        let coded = coded(stream.compression.mode, request.fields());
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let head = self.head(id, framing, coded, &admitted.fields);
        self.join(admitted, id, socket.into(), Some(peer), Body::new(framing, coded.coding), head);
        Handover::Taken
    }
}

impl Public {
    fn join(
        &self,
        admitted: Admitted,
        id: u64,
        socket: OwnedFd,
        peer: Option<SocketAddr>,
        mut body: Body,
        mut first: Vec<u8>,
    ) {
        body.begin(&admitted.greeting, &mut first);
        self.door.hub.join(Newcomer {
            id,
            sink: Socket::new(socket),
            peer,
            topics: admitted.topics,
            body,
            cursor: admitted.cursor,
            greeting: first.into(),
            retry: admitted.retry,
            place: admitted.place,
            tie: admitted.tie,
        });
    }

    /// The head of an answer on the bare socket.
    fn head(&self, id: u64, framing: Framing, coded: Coded, added: &Added) -> Vec<u8> {
        let mut head = String::with_capacity(320);
        head.push_str("HTTP/1.1 200 OK\r\n");
        let mut field = |name: &str, value: &str| head.extend([name, ": ", value, "\r\n"]);
        for (name, value) in respond::STREAM.iter().chain(coded.fields) {
            field(name, value);
        }
        if framing == Framing::Chunked {
            field("transfer-encoding", "chunked");
        }
        field("connection", "close");
        field("date", &jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        if let Some(node) = self.node.as_ref().and_then(|node| node.to_str().ok()) {
            field("x-sse-node", node);
        }
        field("x-sse-connection", &id.to_string());
        for (name, value) in added {
            field(name, value);
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    async fn subscribe(&self, request: &Request<Incoming>, peer: SocketAddr, stream: &Stream) -> Response {
        let query = request.uri().query().unwrap_or_default();
        let ask = Ask { query, fields: Fields::Map(request.headers()), peer };
        if let Some(probed) = self.probes.answer(ask.fields, stream) {
            return self.signed(probed, coded(stream.compression.mode, Fields::Raw(&[])));
        }
        let admitted = match self.door.admit(&ask, stream).await {
            Ok(admitted) => admitted,
            Err(refused) => return refused,
        };
        let Ok((ours, theirs)) = pair(PIPE) else {
            return respond::problem(StatusCode::SERVICE_UNAVAILABLE, "this node has no file descriptor left");
        };
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let added = admitted.fields.clone();
        let coded = coded(stream.compression.mode, ask.fields);
        self.join(admitted, id, ours.into(), Some(peer), Body::new(Framing::Plain, coded.coding), Vec::new());
        let mut response = self.signed(respond::stream(Bytes::new()).map(|_| read_out(theirs)), coded);
        response.headers_mut().insert("x-sse-connection", id.into());
        cors::with(response, &added)
    }

    fn signed(&self, mut response: Response, coded: Coded) -> Response {
        for (name, value) in coded.fields {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        if let Some(node) = &self.node {
            response.headers_mut().insert("x-sse-node", node.clone());
        }
        response
    }
}

/// Finds peers that are gone without a word: what they do not acknowledge ends the connection. Not before a
/// slow one would be told, as a full window counts as silence too (TCP_USER_TIMEOUT, tcp(7)).
fn keep_watch(socket: &std::net::TcpStream, connections: &Connections) {
    let patience = connections.max_lag.max(3 * connections.heartbeat_interval).max(Duration::from_secs(10));
    let millis = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(socket, millis);
    let _ = rustix::net::sockopt::set_socket_keepalive(socket, true);
}
