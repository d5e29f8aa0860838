//! Bodies of answers: those of the API server passed on, watches that can be cut, and refusals in its words.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Response, body::Frame};
use kube::client::Body;
use serde_json::json;
use tokio::sync::broadcast;

use super::Cut;
use crate::must::Must;

type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Answer = UnsyncBoxBody<Bytes, Error>;

pub fn whole(body: Body) -> Answer {
    body.map_err(Error::from).boxed_unsync()
}

/// A watch, until it is cut.
pub fn cuttable(body: Body, cut: broadcast::Receiver<Cut>) -> Answer {
    let pieces = stream::unfold(Some((body, cut)), |state| async move {
        let (mut body, mut cut) = state?;
        tokio::select! {
            frame = body.frame() => {
                let frame = frame?.map_err(Error::from);
                Some((frame, Some((body, cut))))
            }
            told = cut.recv() => match told {
                Ok(Cut::Gone) => Some((Ok(Frame::data(gone())), None)),
                _ => Some((Err("the watch is cut".into()), None)),
            }
        }
    });
    BodyExt::boxed_unsync(StreamBody::new(pieces.boxed()))
}

/// The event by which a watch says that what it should continue from is gone.
fn gone() -> Bytes {
    let status = status(410, "Expired", "too old resource version");
    format!("{}\n", json!({"type": "ERROR", "object": status})).into()
}

/// An answer as the API server words it.
pub fn refusal(code: u16, retry_after: Option<u64>) -> Response<Answer> {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let body = Full::from(status(code, reason, "injected").to_string()).map_err(|never| match never {});
    let mut response = Response::builder().status(code).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(body.boxed_unsync()).must("make an answer")
}

fn status(code: u16, reason: &str, message: &str) -> serde_json::Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
           "message": message, "reason": reason, "code": code})
}
