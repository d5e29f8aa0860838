//! Serves requests by way of hyper: HTTP/1.1 that is not for the bare socket, TLS, and HTTP/2.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::{
    Request, StatusCode, Version,
    body::Incoming,
    header::{HOST, TRANSFER_ENCODING},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{sleep_until, timeout},
};
use tracing::debug;

use super::{
    activity::{Activity, Over},
    bounds::{ERRORS, MAX_HEAD, MAX_TARGET, RESETS_UNSEEN, STREAMS},
    first::Speaks,
    respond::{self, Response},
    room::{Handler, Room},
};

/// Serves one connection until it is over. Its first request may have its answer already.
pub async fn converse<S: AsyncRead + AsyncWrite + Send + Unpin + 'static, H: Handler>(
    io: S,
    speaks: Speaks,
    peer: SocketAddr,
    room: Arc<Room<H>>,
    activity: Arc<Activity>,
    known: Option<Response>,
) {
    let io = TokioIo::new(Heard { io, activity: activity.clone() });
    let service = service_fn({
        let (room, activity, known) = (room.clone(), activity.clone(), Mutex::new(known));
        move |request| {
            let (room, turn, known) = (room.clone(), activity.begin(), known.lock().take());
            async move {
                let answer = match known {
                    Some(known) => known,
                    None => answer(&room, request, peer).await,
                };
                Ok::<_, Infallible>(turn.answer(answer))
            }
        }
    });
    let result = match speaks {
        Speaks::Http1 => {
            let mut builder = http1::Builder::new();
            // The deadline of a head is the activity's.
            builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_HEAD).half_close(false);
            until_over(builder.serve_connection(io, service), &activity, &room).await
        }
        Speaks::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
                .max_pending_accept_reset_streams(RESETS_UNSEEN)
                .max_local_error_reset_streams(ERRORS)
                .keep_alive_interval(room.bounds.head);
            until_over(builder.serve_connection(io, service), &activity, &room).await
        }
    };
    if let Err(error) = result {
        debug!(%error, %peer, "a connection ended");
    }
}

async fn answer<H: Handler>(room: &Room<H>, request: Request<Incoming>, peer: SocketAddr) -> Response {
    match refusal(&request) {
        None => room.handler.handle(request, peer).await,
        Some((reason, response)) => {
            room.metrics.http_refused.with_label_values(&[reason]).inc();
            response
        }
    }
}

/// What no handler is asked.
fn refusal<B>(request: &Request<B>) -> Option<(&'static str, Response)> {
    let (target, headers) = (request.uri().path_and_query(), request.headers());
    if target.is_some_and(|target| target.as_str().len() > MAX_TARGET) {
        let error = format!("the path and query may have {MAX_TARGET} bytes together");
        return Some(("target", respond::problem(StatusCode::URI_TOO_LONG, &error)));
    }
    // RFC 9112, 3.2: proxies may have taken another one of two for the host that is meant.
    if request.version() == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
        let error = "a request of HTTP/1.1 must have one Host";
        return Some(("host", respond::problem(StatusCode::BAD_REQUEST, error)));
    }
    // RFC 9112, 6.1. Whoever reads a coding that we do not know may see the end of the body elsewhere.
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
    {
        let mut response = respond::problem(StatusCode::NOT_IMPLEMENTED, "Transfer-Encoding may be chunked, once");
        response.headers_mut().insert("connection", hyper::header::HeaderValue::from_static("close"));
        return Some(("coding", response));
    }
    None
}

/// Drives a connection for as long as it may go on; from `finish` on, only through what it has begun.
async fn until_over<C: GracefulConnection, H: Handler>(
    connection: C,
    activity: &Activity,
    room: &Room<H>,
) -> Result<(), C::Error> {
    tokio::pin!(connection);
    let mut finishing = false;
    let over = loop {
        let again = match activity.verdict() {
            Ok(again) => again,
            Err(over) => break over,
        };
        // In this order: what has come is heard before anybody is sent away.
        tokio::select! {
            biased;
            result = &mut connection => return result,
            () = room.finish.cancelled(), if !finishing => {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = activity.look.notified() => {
                if activity.verdict().is_ok() && activity.waits() {
                    break Over::Crowded;
                }
            }
            () = sleep_until(again) => {}
        }
    };
    room.metrics.http_refused.with_label_values(&[over.label()]).inc();
    if matches!(over, Over::Idle | Over::Crowded) {
        connection.as_mut().graceful_shutdown();
        // A peer that does not hear of it is no longer waited for.
        let _ = timeout(room.bounds.head, connection).await;
    }
    Ok(())
}

/// A connection that tells when something is read.
struct Heard<S> {
    io: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.hears();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
