//! `GET /tap` on the admin port: what is written to one connection, byte by byte, or what comes of one topic, while it
//! happens. It ends when the reader leaves, or the connection ends.

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::{StatusCode, header::HeaderValue};

use super::{
    pipe::{pair, read_out},
    respond::{self, Response},
};
use crate::{
    fanout::{audience::Place, hub::Hub, tap::Tap, topics::Topics},
    metrics::Metrics,
};

/// As many at a time.
const TAPS: usize = 8;
/// What a reader may be behind before something is left out, in bytes.
const ROOM: usize = 256 << 10;

/// Answers one who wants to look on.
pub async fn tap(query: &str, hub: &Hub, metrics: &Metrics) -> Response {
    let asked: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let [(what, which)] = &*asked else {
        return bad("say what to watch: /tap?connection=ID, an id of /connections, or /tap?topic=NAME");
    };
    let Some(place) = Place::take(&metrics.taps, TAPS) else {
        return respond::unavailable(&format!("{TAPS} taps are being read already: end one of them"));
    };
    let Ok((ours, theirs)) = pair(ROOM) else {
        return respond::problem(StatusCode::SERVICE_UNAVAILABLE, "this node has no file descriptor left");
    };
    match &**what {
        "connection" => {
            let Ok(id) = which.parse() else { return bad("connection must be a number, as X-Sse-Connection has it") };
            if !hub.tap_connection(id, Tap::new(ours, "the connection has ended")).await {
                return respond::not_found(&format!("no connection {id} here; /connections lists those there are"));
            }
        }
        "topic" => match Topics::of([which]) {
            Ok(topics) => hub.tap_topics(topics, Tap::new(ours, "this node has stopped")),
            Err(error) => return bad(&error.to_string()),
        },
        _ => return bad(&format!("{what:?} can't be watched; there are connection and topic")),
    }
    // The place is held for as long as the answer is read.
    let body = read_out(theirs).into_data_stream().map(move |bytes| {
        let _ = &place;
        bytes.map(hyper::body::Frame::data)
    });
    let mut response =
        respond::text("application/octet-stream", Bytes::new()).map(|_| StreamBody::new(body).boxed_unsync());
    response.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
    response
}

fn bad(error: &str) -> Response {
    respond::problem(StatusCode::BAD_REQUEST, error)
}
