//! What one would write in an afternoon: hyper, a broadcast channel, a task for each connection.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Method, Request, Response,
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc},
};

/// Events that a slow reader may be behind before it is disconnected.
const BEHIND: usize = 10_000;

struct Feed {
    events: broadcast::Sender<Bytes>,
    published: AtomicU64,
}

/// Serves `GET /events` and `POST /publish` until the process ends.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let feed = Arc::new(Feed { events: broadcast::channel(BEHIND).0, published: AtomicU64::new(0) });
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let feed = Arc::clone(&feed);
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(Arc::clone(&feed), request));
            let mut http = hyper::server::conn::http1::Builder::new();
            // An error is a client that left.
            http.timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), answer).await.ok();
        });
    }
}

async fn answer(
    feed: Arc<Feed>,
    request: Request<Incoming>,
) -> Result<Response<Either<Full<Bytes>, Events>>, hyper::Error> {
    let mut response = if request.method() == Method::GET {
        let mut events = feed.events.subscribe();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Ok(event) = events.recv().await {
                if sender.send(event).await.is_err() {
                    break;
                }
            }
        });
        let mut response = Response::new(Either::Right(Events(receiver)));
        let event_stream = hyper::header::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, event_stream);
        response
    } else {
        let data = request.into_body().collect().await?.to_bytes();
        let id = feed.published.fetch_add(1, Ordering::Relaxed) + 1;
        let event = format!("id: naive-{id}\ndata: {}\n\n", String::from_utf8_lossy(&data));
        feed.events.send(event.into()).ok(); // an error is that nobody listens
        Response::new(Either::Left(Full::from(format!("{{\"ids\":[\"naive-{id}\"]}}"))))
    };
    let no_cache = hyper::header::HeaderValue::from_static("no-cache");
    response.headers_mut().insert(hyper::header::CACHE_CONTROL, no_cache);
    Ok(response)
}

/// A body of what comes on a channel.
struct Events(mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
