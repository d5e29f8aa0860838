//! What the connections of one listener share, and what answers their requests.

use std::{net::SocketAddr, sync::Arc};

use hyper::{Request, body::Incoming};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{activity::Over, bounds::Bounds, first::Get, respond::Response, waiting::Waiting};
use crate::metrics::Metrics;

/// What answers the requests of one listener.
pub trait Handler: Send + Sync + 'static {
    fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> impl Future<Output = Response> + Send;

    /// Serves a connection's first request on the bare socket, if this is one for it.
    fn take_over(
        &self,
        request: &Get<'_>,
        socket: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = Handover> + Send {
        let _ = (request, peer);
        async { Handover::Left(socket, None) }
    }
}

/// What became of a connection's first request.
pub enum Handover {
    /// It is served, or over.
    Taken,
    /// Hyper sees to the connection. Its first request may have got its answer already.
    Left(TcpStream, Option<Response>),
}

/// What the connections of one listener share.
pub struct Room<H> {
    pub handler: H,
    pub metrics: Metrics,
    pub bounds: Bounds,
    /// From here on nobody is accepted, keep-alive ends, and connections close after their last answer.
    pub finish: CancellationToken,
    pub waiting: Waiting,
}

impl<H: Handler> Room<H> {
    pub fn new(handler: H, metrics: Metrics, bounds: Bounds, finish: CancellationToken) -> Arc<Self> {
        Arc::new(Self { handler, metrics, bounds, finish, waiting: Waiting::new(bounds.waiting) })
    }

    pub fn over(&self, why: Over) {
        self.metrics.http_refused.with_label_values(&[why.label()]).inc();
    }
}
