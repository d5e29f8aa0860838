//! Accepts connections and serves HTTP/1.1 on them until it is told to stop.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::respond::Response;

/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// The largest head, in bytes; hyper answers 431 to more.
const MAX_HEAD: usize = 32 << 10;

/// What answers the requests of one listener.
pub trait Handler: Send + Sync + 'static {
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response> + Send;
}

/// Accepts until `finish` is cancelled; then keep-alive ends, and connections close after their last answer.
pub async fn listen(
    listener: TcpListener,
    handler: Arc<impl Handler>,
    connections: TaskTracker,
    finish: CancellationToken,
) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                connections.spawn(serve(socket, handler.clone(), finish.clone()));
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

async fn serve(socket: TcpStream, handler: Arc<impl Handler>, finish: CancellationToken) {
    // An event is one small write; it must not wait for the answer to the one before.
    let _ = socket.set_nodelay(true);
    let service = service_fn(|request| async { Ok::<_, Infallible>(handler.handle(request).await) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = finish.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%error, "a connection ended");
    }
}
