//! Other methods than GET.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use tokio::time::timeout;

use super::{Outcome, Probe, fail};
use crate::subscription::is_event_stream;

/// RFC 9110, 9.3.2: the fields of GET, no body; and it must not hold a place in the stream.
pub async fn head(probe: &Probe) -> Outcome {
    let response = probe.target.send(Method::HEAD, None, &[("accept", "text/event-stream")], "").await?;
    let status = response.status().as_u16();
    let kind =
        response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    if status != 200 || !is_event_stream(&kind) {
        return fail(format!("{status} {kind}"));
    }
    match timeout(Duration::from_secs(2), response.into_body().collect()).await {
        Ok(Ok(body)) => match body.to_bytes().len() {
            0 => Ok(format!("200, {kind}")),
            length => fail(format!("it has a body of {length} bytes")),
        },
        Ok(Err(error)) => fail(error.to_string()),
        Err(_) => fail("it does not end"),
    }
}

pub async fn options(probe: &Probe) -> Outcome {
    let response = probe.target.send(Method::OPTIONS, None, &[], "").await?;
    let allow = response.headers().get("allow").and_then(|allow| allow.to_str().ok()).unwrap_or("none");
    let said = format!("{}, Allow: {allow}", response.status().as_u16());
    if response.status().is_success() { Ok(said) } else { fail(said) }
}

/// RFC 9110, 15.5.6 and 15.6.2: 405 with what there is, or 501. Proxies may say 400.
pub async fn unknown(probe: &Probe) -> Outcome {
    let brew = Method::from_bytes(b"BREW").unwrap_or(Method::TRACE);
    let response = probe.target.send(brew, None, &[], "").await?;
    let allow = response.headers().get("allow").and_then(|allow| allow.to_str().ok()).unwrap_or("none");
    let said = format!("{}, Allow: {allow}", response.status().as_u16());
    if [400, 405, 501].contains(&response.status().as_u16()) { Ok(said) } else { fail(said) }
}
