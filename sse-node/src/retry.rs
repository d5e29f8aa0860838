//! `sse-node retry`: answers every request with an event stream that says when to come back, and closes.
//!
//! It stands behind proxies, which send requests here that no node answers: a status other than 200 would end a
//! browser's `EventSource` for good. It reads the nodes' manifest, for `connections.retry` and CORS, and no broker.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::{Method, Request, body::Incoming};
use parking_lot::RwLock;
use ssefleet_crds::{Stream, probe::NO_NODE};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    changes::Changes,
    http::{
        bounds::Bounds,
        cors,
        listen::listen,
        respond::{self, Response},
        room::{Handler, Room},
    },
    jitter::jitter,
    metrics::Metrics,
};

struct Retry {
    stream: RwLock<Arc<Stream>>,
}

impl Handler for Retry {
    async fn handle(&self, request: Request<Incoming>, _: SocketAddr) -> Response {
        if request.uri().path() == "/health" {
            return respond::text("text/plain", "ok\n");
        }
        let stream = self.stream.read().clone();
        let field = |name| respond::header(request.headers(), name);
        let (cors, origin) = (stream.cors.as_ref(), field("origin"));
        if *request.method() == Method::OPTIONS
            && let Some(preflight) = cors::preflight(cors, origin, field("access-control-request-method"))
        {
            return preflight;
        }
        let answer = respond::come_back(jitter(stream.connections.retry), NO_NODE);
        cors::with(answer, &cors::fields(cors, origin))
    }
}

/// Answers until `stop` resolves, and lets the answers under way end.
pub async fn serve(
    changes: Changes,
    stream: Stream,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), prometheus::Error> {
    let retry = Retry { stream: RwLock::new(Arc::new(stream)) };
    let (finish, connections) = (CancellationToken::new(), TaskTracker::new());
    let room = Room::new(retry, Metrics::new()?, Bounds::default(), finish.clone());
    let listening = tokio::spawn(listen(listener, None, room.clone(), connections.clone()));
    tokio::select! {
        () = stop => {}
        () = follow(changes, &room.handler) => {}
    }
    finish.cancel();
    connections.close();
    // Each answer is short; one who does not read it must not keep the pod.
    let _ = tokio::time::timeout(Duration::from_secs(2), connections.wait()).await;
    listening.abort();
    Ok(())
}

/// Takes over a manifest that has changed. One that is bad changes nothing.
async fn follow(mut changes: Changes, retry: &Retry) {
    loop {
        if let Ok(stream) = changes.next().await {
            *retry.stream.write() = Arc::new(stream);
        }
    }
}
