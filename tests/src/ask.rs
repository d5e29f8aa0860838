//! One request through the ingress and its answer: for refusals, preflights, and streams that are read as bytes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, body::Incoming};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{
    cluster::Access,
    dial::{Connection, Target, dial},
    must::Must,
};

/// How long an answer, or the next bytes of a body, may take; and a new Ingress, until its controller knows it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request without a body.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    path_and_query: String,
    headers: Vec<(String, String)>,
}

impl Ask {
    /// Asks for a stream, as a library does.
    pub fn get(path_and_query: &str) -> Self {
        Self { method: Method::GET, path_and_query: path_and_query.into(), headers: Vec::new() }
            .header("accept", "text/event-stream")
    }

    /// A browser's question before a request of another origin.
    pub fn preflight(path: &str, origin: &str) -> Self {
        Self { method: Method::OPTIONS, path_and_query: path.into(), headers: Vec::new() }
            .header("origin", origin)
            .header("access-control-request-method", "GET")
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Asks until a node answers, and not the ingress by itself, as it does until it knows the stream.
    pub(crate) async fn send(&self, access: &Access, via: &Target, host: &str) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = timeout(PATIENCE, self.once(access, via, host)).await;
            let told = match answer {
                Ok(Ok(answer)) if answer.is_of_a_node() => return answer,
                Ok(Ok(answer)) => format!("{} from the ingress itself", answer.status),
                Ok(Err(cause)) => cause,
                Err(_) => "nothing".into(),
            };
            assert!(begun.elapsed() < PATIENCE, "no node answers {} {}: {told}", self.method, self.path_and_query);
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks one pod, past the ingress.
    pub async fn send_to(&self, access: &Access, pod: &Target) -> Result<Answer, String> {
        self.once(access, pod, "node").await
    }

    pub(crate) async fn once(&self, access: &Access, via: &Target, host: &str) -> Result<Answer, String> {
        let mut connection = dial(access, via).await.map_err(|cause| cause.to_string())?;
        let mut request = Request::builder().method(&self.method).uri(&self.path_and_query).header("host", host);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::default()).map_err(|cause| cause.to_string())?;
        let (head, body) = connection.send_request(request).await.map_err(|cause| cause.to_string())?.into_parts();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body, _connection: connection })
    }
}

/// What was answered. Dropped, it disconnects.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
    _connection: Connection,
}

impl Answer {
    /// The values of a header field, as one.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The pod that serves the stream.
    pub fn pod(&self) -> String {
        self.header("x-sse-node").unwrap_or_default()
    }

    /// Every answer of a node's public port names it, is a problem in JSON, or says what other origins may do.
    fn is_of_a_node(&self) -> bool {
        let problem = self.header("content-type").is_some_and(|kind| kind.starts_with("application/problem+json"));
        problem || self.status == 200 || !self.pod().is_empty()
    }

    /// The sentence of a refusal.
    pub async fn error(self) -> String {
        let status = self.status;
        let body = timeout(PATIENCE, self.body.collect()).await.must("read the answer").must("read the answer");
        let problem: Value =
            serde_json::from_slice(&body.to_bytes()).must(format_args!("read the problem of {status}"));
        problem["error"].as_str().must(format_args!("find `error` in {problem}")).to_owned()
    }

    /// The whole body, as JSON.
    pub async fn json(self) -> Value {
        let body = timeout(PATIENCE, self.body.collect()).await.must("read the answer").must("read the answer");
        serde_json::from_slice(&body.to_bytes()).must("read JSON")
    }

    /// All of the body, as text: for one that ends.
    pub async fn text(self) -> String {
        let body = timeout(PATIENCE, self.body.collect()).await.must("read the answer to its end");
        String::from_utf8_lossy(&body.must("read the answer").to_bytes()).into_owned()
    }

    /// The next bytes of the body.
    pub async fn bytes(&mut self) -> Bytes {
        let next = timeout(PATIENCE, self.body.frame()).await.must("get more of the stream");
        let frame = next.must("go on reading, as the stream has ended").must("go on reading");
        frame.into_data().unwrap_or_default()
    }
}
