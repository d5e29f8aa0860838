//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them until it is told to stop.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{
    first::{self, Get, Speaks},
    respond::Response,
    rewind::Rewind,
    tls::Tls,
};

/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// How many requests, and so streams, one HTTP/2 connection may have at a time.
const STREAMS: u32 = 250;

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

/// Accepts until `finish` is cancelled; then keep-alive ends too, and connections close after their last answer.
pub async fn listen(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    handler: Arc<impl Handler>,
    connections: TaskTracker,
    finish: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = finish.cancelled() => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                let (handler, finish) = (handler.clone(), finish.clone());
                // An event is one small write; it must not wait for the answer to the one before.
                let _ = socket.set_nodelay(true);
                match tls.clone() {
                    None => connections.spawn(serve(socket, peer, handler, finish)),
                    Some(tls) => connections.spawn(serve_tls(socket, peer, tls, handler, finish)),
                };
            }
            // Out of file descriptors, mostly: those that are connected stay so, and some will go.
            Err(error) if !is_the_clients(&error) => {
                warn!(%error, "can't accept connections for now");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(_) => {}
        }
    }
}

/// Errors of `accept` that concern only the connection that was to be accepted, accept(2).
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn serve(mut socket: TcpStream, peer: SocketAddr, handler: Arc<impl Handler>, finish: CancellationToken) {
    let mut bytes = Vec::new();
    let speaks = tokio::select! {
        read = timeout(HEAD, first::read(&mut socket, &mut bytes)) => read,
        () = finish.cancelled() => return,
    };
    let Ok(Ok(Some(speaks))) = speaks else { return };
    let handover = match Get::parse(&bytes) {
        Some(request) if speaks == Speaks::Http1 => handler.take_over(&request, socket, peer).await,
        _ => Handover::Left(socket, None),
    };
    let Handover::Left(socket, answer) = handover else { return };
    // In a box: those who are taken over, which is most, need not have room for it.
    Box::pin(converse(Rewind::new(bytes, socket), speaks, peer, handler, finish, answer)).await;
}

async fn serve_tls(
    socket: TcpStream,
    peer: SocketAddr,
    tls: Arc<Tls>,
    handler: Arc<impl Handler>,
    finish: CancellationToken,
) {
    match timeout(HEAD, tls.accept(socket)).await {
        Ok(Ok((stream, speaks))) => converse(stream, speaks, peer, handler, finish, None).await,
        Ok(Err(error)) => debug!(%error, %peer, "no TLS came about"),
        Err(_) => {}
    }
}

/// Serves requests by way of hyper. The first may have its answer already.
async fn converse<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    io: S,
    speaks: Speaks,
    peer: SocketAddr,
    handler: Arc<impl Handler>,
    finish: CancellationToken,
    answer: Option<Response>,
) {
    let io = TokioIo::new(io);
    let result = match speaks {
        Speaks::Http1 => {
            let answer = Mutex::new(answer);
            let service = service_fn(|request| {
                let answer = answer.lock().take();
                async {
                    Ok::<_, Infallible>(match answer {
                        Some(answer) => answer,
                        None => handler.handle(request, peer).await,
                    })
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_buf_size(first::MAX_HEAD)
                .half_close(false)
                .serve_connection(io, service);
            until_finished(connection, finish).await
        }
        Speaks::Http2 => {
            let service = service_fn(move |request| {
                let handler = handler.clone();
                async move { Ok::<_, Infallible>(handler.handle(request, peer).await) }
            });
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(u32::try_from(first::MAX_HEAD).unwrap_or(u32::MAX))
                .keep_alive_interval(HEAD)
                .serve_connection(io, service);
            until_finished(connection, finish).await
        }
    };
    if let Err(error) = result {
        debug!(%error, "a connection ended");
    }
}

/// Serves a connection; from `finish` on, only what it has begun.
async fn until_finished<C: GracefulConnection>(connection: C, finish: CancellationToken) -> Result<(), C::Error> {
    tokio::pin!(connection);
    tokio::select! {
        result = &mut connection => result,
        () = finish.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}
