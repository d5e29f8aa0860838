//! Answers that all listeners give: problems (RFC 9457), JSON, and plain text.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde_json::json;

use crate::encode;

pub type Body = UnsyncBoxBody<Bytes, Infallible>;
pub type Response = hyper::Response<Body>;

pub fn text(content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The header fields of an event stream. nginx and those that follow it buffer answers unless told not to.
pub const STREAM: [(&str, &str); 3] =
    [("content-type", "text/event-stream"), ("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no")];

/// An event stream that is all there already.
pub fn stream(body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    for (name, value) in STREAM {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An event stream that only says when to come back, and why.
pub fn come_back(after: Duration, sentence: &str) -> Response {
    stream(encode::farewell(after, sentence).plain())
}

pub fn json(value: &serde_json::Value) -> Response {
    text("application/json", format!("{value}\n"))
}

/// An error as `application/problem+json`, whose `error` member is the sentence.
pub fn problem(status: StatusCode, error: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "error": error});
    let mut response = text("application/problem+json", format!("{body}\n"));
    *response.status_mut() = status;
    response
}

/// 503, with the seconds after which to try again.
pub fn unavailable(error: &str) -> Response {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, error);
    // A little different for each, so that those who are refused together do not come back together.
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(fastrand::u16(1..=5)));
    response
}

pub fn not_found(error: &str) -> Response {
    problem(StatusCode::NOT_FOUND, error)
}

/// OPTIONS is answered, anything else is 405; both say what is allowed.
pub fn not_allowed(method: &Method, allowed: &'static str) -> Response {
    let mut response = if method == Method::OPTIONS {
        let mut response = text("text/plain", Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        problem(StatusCode::METHOD_NOT_ALLOWED, &format!("{method} is not for here; there is {allowed}"))
    };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A header's value, if it is there and is UTF-8, as the bare socket reads it.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| str::from_utf8(value.as_bytes()).ok())
}
