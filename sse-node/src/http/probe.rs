//! A stream for the operator, which comes by the public path to see what that does to streams: the header fields of a
//! subscription, comments a little apart, and then silence with heartbeats, so that what buffers or cuts it shows.
//!
//! A probe needs a pass (`ssefleet_crds::probe`) and nothing else: no token, no place among the connections, no broker,
//! and no limit counts it. There are few of them at a time.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    StatusCode,
    body::Frame,
    header::{HeaderName, HeaderValue},
};
use ring::hmac;
use ssefleet_crds::{
    Stream, names,
    probe::{APART, BUSY, Comment, FIELD, Pass, REFUSED, Script},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    fields::Fields,
    respond::{self, Response},
};
use crate::metrics::Metrics;

/// At a time. The operator has one or two for each way in.
const SEATS: usize = 4;

/// Answers probes.
pub struct Probes {
    namespace: String,
    name: String,
    /// What passes are signed with. Read for each: there are few, and so it is always the newest.
    key: PathBuf,
    seats: Arc<Semaphore>,
    metrics: Metrics,
    /// From here on the node is to stop.
    finish: CancellationToken,
}

impl Probes {
    pub fn new(stream: &Stream, secrets: &Path, metrics: Metrics, finish: CancellationToken) -> Self {
        let token = names::admin_token(&stream.name);
        Self {
            namespace: stream.namespace.clone(),
            name: stream.name.clone(),
            key: secrets.join(token.name).join(token.key),
            seats: Arc::new(Semaphore::new(SEATS)),
            metrics,
            finish,
        }
    }

    /// The answer, if the request asks for a probe.
    pub fn answer(&self, fields: Fields<'_>, stream: &Stream) -> Option<Response> {
        let field = fields.first(FIELD)?;
        let Some(script) = self.script(field) else {
            let why = "this pass for a probe is not of this stream, or not of this time";
            return Some(self.refuse(StatusCode::FORBIDDEN, REFUSED, why));
        };
        let Ok(seat) = self.seats.clone().try_acquire_owned() else {
            // Not 503, which proxies may have an answer of their own for.
            return Some(self.refuse(StatusCode::TOO_MANY_REQUESTS, BUSY, "this node has enough probes just now"));
        };
        self.metrics.probes.with_label_values(&["answered"]).inc();
        let sending = Sending {
            script,
            heartbeat: stream.connections.heartbeat_interval,
            finish: self.finish.clone(),
            sent: 0,
            next: Instant::now(),
            silent_until: None,
            over: false,
            _seat: seat,
        };
        let comments = unfold(sending, async |mut sending| {
            let comment = sending.next().await?;
            Some((Ok(Frame::data(Bytes::from(format!("{comment}\n\n")))), sending))
        });
        Some(respond::stream(Bytes::new()).map(|_| StreamBody::new(comments).boxed_unsync()))
    }

    /// What the pass asks for, if it is one.
    fn script(&self, field: &str) -> Option<Script> {
        let (pass, signature) = Pass::read(field)?;
        if !pass.is_fresh(u64::try_from(jiff::Timestamp::now().as_second()).ok()?) {
            return None;
        }
        let tokens = std::fs::read(&self.key).ok()?;
        let claim = pass.claim(&self.namespace, &self.name);
        // One a line: a token is changed by way of both.
        let mut tokens = tokens.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty());
        let signed_by = |token: &[u8]| {
            hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, token), claim.as_bytes(), &signature).is_ok()
        };
        tokens.any(signed_by).then_some(pass.script)
    }

    fn refuse(&self, status: StatusCode, outcome: &'static str, why: &str) -> Response {
        self.metrics.probes.with_label_values(&[outcome]).inc();
        let mut response = respond::problem(status, why);
        response.headers_mut().insert(HeaderName::from_static(FIELD), HeaderValue::from_static(outcome));
        response
    }
}

/// A probe under way.
struct Sending {
    script: Script,
    heartbeat: Duration,
    finish: CancellationToken,
    /// Comments that are sent.
    sent: u32,
    /// When the next one is due.
    next: Instant,
    /// The end of the silence, once it has begun.
    silent_until: Option<Instant>,
    over: bool,
    _seat: OwnedSemaphorePermit,
}

impl Sending {
    /// Waits for the next comment.
    async fn next(&mut self) -> Option<Comment> {
        if self.over {
            return None;
        }
        let finish = self.finish.clone();
        tokio::select! {
            comment = self.due() => Some(comment),
            // A drain must not wait for it.
            () = finish.cancelled() => {
                self.over = true;
                Some(Comment::Stopped)
            }
        }
    }

    async fn due(&mut self) -> Comment {
        if self.sent < self.script.comments {
            sleep_until(self.next).await;
            self.next = Instant::now() + APART;
            self.sent += 1;
            let at = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
            return Comment::Sent { number: self.sent, at };
        }
        let until = *self.silent_until.get_or_insert_with(|| Instant::now() + self.script.silence);
        let heartbeat = Instant::now() + self.heartbeat;
        if heartbeat < until {
            sleep_until(heartbeat).await;
            return Comment::Waits;
        }
        sleep_until(until).await;
        self.over = true;
        Comment::End
    }
}
