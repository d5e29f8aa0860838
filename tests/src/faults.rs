//! A proxy between the operator and the API server that can do to requests what networks and busy servers do: plain HTTP
//! in, and TLS with the operator's certificate out. What has passed through is kept, so that a test sees every attempt.

mod body;
mod fault;
mod record;

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kube::{Client, Config, client::Body};
use tokio::{net::TcpListener, sync::broadcast};
use tokio_util::sync::CancellationToken;

use self::body::Answer;
pub use self::{
    fault::{Fault, What, on},
    record::{Seen, Verb},
};
use crate::must::Must;

/// The proxy; it ends when it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _end: tokio_util::sync::DropGuard,
}

struct Shared {
    upstream: Client,
    faults: Mutex<Vec<Fault>>,
    seen: Mutex<Vec<Seen>>,
    /// Ends the watches that are open.
    cut: broadcast::Sender<Cut>,
}

/// What an open watch is told.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The connection breaks in the middle.
    Break,
    /// The server says that its history does not go back so far.
    Gone,
}

impl Proxy {
    /// Before an API server that is reached in this way.
    pub async fn start(mut upstream: Config) -> Self {
        upstream.default_retry = false; // every answer is the operator's to deal with
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.must("listen on loopback");
        let address = listener.local_addr().must("know the proxy's address");
        let shared = Arc::new(Shared {
            upstream: Client::try_from(upstream).must("make a client"),
            faults: Mutex::default(),
            seen: Mutex::default(),
            cut: broadcast::Sender::new(16),
        });
        let end = CancellationToken::new();
        tokio::spawn(accept(listener, shared.clone(), end.clone()));
        Self { address, shared, _end: end.drop_guard() }
    }

    /// From now on, this happens; the first fault that fits a request takes it.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.lock().must("add a fault").push(fault);
    }

    /// From now on, all goes well.
    pub fn heal(&self) {
        self.shared.faults.lock().must("remove faults").clear();
    }

    /// Breaks the watches that are open, in the middle of what they say.
    pub fn cut_watches(&self) {
        self.shared.cut.send(Cut::Break).ok();
    }

    /// Tells the watches that are open that their place in the server's history is gone.
    pub fn expire_watches(&self) {
        self.shared.cut.send(Cut::Gone).ok();
    }

    /// All requests until now.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().must("read what was seen").clone()
    }

    /// Those of them that would change something, but for events and the lease.
    pub fn writes(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(Seen::is_write).collect()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, end: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.cancelled() => return,
        };
        let Ok((connection, _)) = accepted else { continue };
        let (shared, end) = (shared.clone(), end.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &shared));
            let serving = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
            tokio::select! {
                _ = serving => {} // an error is a fault of ours, or the operator's end
                () = end.cancelled() => {}
            }
        });
    }
}

/// An error ends the connection without an answer.
async fn answer(request: Request<Incoming>, shared: &Shared) -> Result<Response<Answer>, Broken> {
    let number = {
        let mut seen = shared.seen.lock().must("note a request");
        seen.push(Seen::of(&request));
        seen.len() - 1
    };
    let what = {
        let seen = shared.seen.lock().must("read a request")[number].clone();
        shared.faults.lock().must("look for a fault").iter_mut().find_map(|fault| fault.takes(&seen))
    };
    let answer = match what {
        None => forward(request, shared).await,
        Some(What::Status(status, retry_after)) => Ok(body::refusal(status, retry_after)),
        Some(What::Break) => Err(Broken),
        Some(What::Hang) => std::future::pending().await,
        Some(What::Slow(delay)) => {
            tokio::time::sleep(delay).await; // the fault itself
            forward(request, shared).await
        }
        Some(What::LoseAnswer) => forward(request, shared).await.and(Err(Broken)),
        Some(What::Then(act)) => {
            let answered = forward(request, shared).await;
            act();
            answered.and(Err(Broken))
        }
    };
    let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
    let mut seen = shared.seen.lock().must("note an answer");
    (seen[number].status, seen[number].answered) = (status, Some(Instant::now()));
    answer
}

async fn forward(request: Request<Incoming>, shared: &Shared) -> Result<Response<Answer>, Broken> {
    let is_watch = Seen::of(&request).verb == Verb::Watch;
    let (parts, body) = request.into_parts();
    let body: Bytes = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let answer = shared.upstream.send(Request::from_parts(parts, Body::from(body.to_vec()))).await;
    let (mut parts, body) = answer.map_err(|_| Broken)?.into_parts();
    parts.headers.remove("connection");
    parts.headers.remove("transfer-encoding"); // hyper frames the body anew
    let body = if is_watch { body::cuttable(body, shared.cut.subscribe()) } else { body::whole(body) };
    Ok(Response::from_parts(parts, body))
}

/// Makes hyper close the connection.
#[derive(Debug, thiserror::Error)]
#[error("a fault")]
struct Broken;

impl From<Infallible> for Broken {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
