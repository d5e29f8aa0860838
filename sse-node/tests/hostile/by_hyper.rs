//! The same bytes read twice: by `first::Get::parse`, which serves on the bare socket, and by hyper. Whatever the
//! former takes, the latter must read alike; then no request can be one thing to one and another to the other.
//! The fuzz target `head` includes this file.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use hyper::{Request, Response, Version, body::Body as _, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use sse_node::http::{fields::Fields, first::Get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Whether the bare socket would take this; if hyper reads it otherwise, it panics.
pub fn read_alike(bytes: &[u8]) -> bool {
    let Some(get) = Get::parse(bytes) else { return false };
    let requests = by_hyper(bytes);
    assert_eq!(requests.len(), 1, "hyper reads {} requests in {}", requests.len(), shown(bytes));
    let request = &requests[0];
    let version = if get.chunked { Version::HTTP_11 } else { Version::HTTP_10 };
    assert_eq!((request.method().as_str(), request.version()), ("GET", version), "{}", shown(bytes));
    let uri = request.uri();
    assert_eq!((uri.path(), uri.query().unwrap_or_default()), (get.path, get.query), "{}", shown(bytes));
    assert!(uri.host().is_none(), "{}", shown(bytes));
    assert_eq!(request.body(), &0, "it has a body: {}", shown(bytes));
    let fields = Fields::Map(request.headers());
    for name in request.headers().keys() {
        let name = name.as_str();
        assert_eq!(fields.first(name), get.fields().first(name), "{name}: {}", shown(bytes));
        assert_eq!(fields.all(name), get.fields().all(name), "{name}: {}", shown(bytes));
    }
    true
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// What hyper hands to a handler; for the body, its length as far as it is known.
fn by_hyper(bytes: &[u8]) -> Vec<Request<u64>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn({
        let seen = seen.clone();
        move |request: Request<hyper::body::Incoming>| {
            let request = request.map(|body| if body.is_end_stream() { 0 } else { body.size_hint().lower().max(1) });
            seen.lock().unwrap().push(request);
            async { Ok::<_, Infallible>(Response::new(String::new())) }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        // An error is for the client; here only what a handler saw counts.
        let _ = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(server), service).await;
        let _ = client.read(&mut [0]).await;
    });
    drop(runtime);
    Arc::into_inner(seen).unwrap().into_inner().unwrap()
}
