//! One subscription by a way in: connects as the outside does, asks for a probe, and notes what comes back, and when.

use std::{
    io,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Empty};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use ssefleet_crds::probe::{APART, Comment, FIELD, NO_NODE, Script};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::way::Way;
use crate::NAME;

/// How long a connection may take to come about, and TLS on it.
const CONNECT: Duration = Duration::from_secs(5);
/// How much longer than the probe itself its answer may take.
const LATE: Duration = Duration::from_secs(10);
/// More bytes are no probe's.
const MOST: usize = 64 << 10;

/// What is asked, and as whom.
pub struct Question<'a> {
    pub way: &'a Way,
    pub path: &'a str,
    pub pass: String,
    pub script: Script,
    pub tls: Option<ClientConfig>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Connect(io::Error),
    #[error("no connection came about within {} s", CONNECT.as_secs())]
    ConnectLate,
    #[error("{0}")]
    Tls(io::Error),
    #[error("the other end did not complete it within {} s", CONNECT.as_secs())]
    TlsLate,
    #[error("{0} is no name that a certificate could have")]
    Name(String),
    /// It does not speak HTTP, or hung up.
    #[error("{0}")]
    Http(hyper::Error),
    #[error("nothing came back within {0:.0?}")]
    Late(Duration),
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub content_type: String,
    pub content_encoding: Option<String>,
    /// The node's word, if there is one, on why it does not probe.
    pub word: Option<String>,
    /// From the request until the head was here.
    pub first_byte: Duration,
    pub comments: Vec<Arrival>,
    /// A line that is no probe's.
    pub strange: bool,
    pub ending: Ending,
    /// From the request until the end, and until the last byte before that.
    pub lasted: Duration,
    pub heard: Duration,
}

/// One of the comments that were sent apart.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// By the node's clock, since 1970.
    pub sent: Duration,
    /// Since the request.
    pub came: Duration,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Complete,
    /// The node was about to stop.
    Stopped,
    /// It was no node's, but of what stands in for them.
    Absent,
    /// Before its end had come.
    Cut,
    /// It did not, long after it should have.
    Never,
}

/// Subscribes, and listens to the end.
pub async fn ask(question: Question<'_>) -> Result<Answer, Error> {
    let way = question.way;
    let connecting = timeout(CONNECT, TcpStream::connect((way.address.as_str(), way.port)));
    let socket = connecting.await.map_err(|_| Error::ConnectLate)?.map_err(Error::Connect)?;
    match &question.tls {
        None => listen(socket, &question).await,
        Some(config) => {
            let name = ServerName::try_from(way.host.clone()).map_err(|_| Error::Name(way.host.clone()))?;
            let shaking =
                timeout(CONNECT, TlsConnector::from(std::sync::Arc::new(config.clone())).connect(name, socket));
            let stream = shaking.await.map_err(|_| Error::TlsLate)?.map_err(Error::Tls)?;
            listen(stream, &question).await
        }
    }
}

async fn listen<S>(socket: S, question: &Question<'_>) -> Result<Answer, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let script = question.script;
    let patience = APART * script.comments + script.silence + LATE;
    let began = Instant::now();
    let deadline = tokio::time::Instant::now() + patience;
    let exchange = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        // It ends with its request, whose body is read or dropped below.
        tokio::spawn(connection);
        sender.send_request(request(question)).await
    };
    let response = timeout_at(deadline, exchange).await.map_err(|_| Error::Late(patience))?.map_err(Error::Http)?;
    let (mut answer, mut body) = begin(response, began.elapsed());
    if answer.status != StatusCode::OK {
        return Ok(answer);
    }
    let mut lines = Lines::default();
    while answer.ending == Ending::Cut && !answer.strange {
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => {
                answer.ending = Ending::Never;
                break;
            }
            Ok(None | Some(Err(_))) => break,
            Ok(Some(Ok(frame))) => frame,
        };
        answer.heard = began.elapsed();
        lines.feed(frame.data_ref().map_or(&[][..], |data| data), |line| answer.hear(line));
        answer.strange |= lines.total > MOST;
    }
    answer.lasted = began.elapsed();
    Ok(answer)
}

/// As a browser asks, whose Accept-Encoding makes proxies compress that do.
fn request(question: &Question<'_>) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = question.path.parse().unwrap_or_default();
    let authority = question.way.authority();
    for (name, value) in [
        (HOST.as_str(), authority.as_str()),
        (ACCEPT.as_str(), "text/event-stream"),
        (ACCEPT_ENCODING.as_str(), "gzip, deflate, br"),
        (CACHE_CONTROL.as_str(), "no-cache"),
        (USER_AGENT.as_str(), NAME),
        (FIELD, question.pass.as_str()),
    ] {
        if let (Ok(name), Ok(value)) = (name.parse::<hyper::header::HeaderName>(), value.parse()) {
            request.headers_mut().insert(name, value);
        }
    }
    request
}

fn begin(response: Response<Incoming>, first_byte: Duration) -> (Answer, Incoming) {
    let (head, body) = response.into_parts();
    let field = |name: &str| text(&head.headers, name);
    let answer = Answer {
        status: head.status,
        content_type: field(CONTENT_TYPE.as_str()).unwrap_or_default(),
        content_encoding: field(CONTENT_ENCODING.as_str()).filter(|coding| coding != "identity"),
        word: field(FIELD),
        first_byte,
        comments: Vec::new(),
        strange: false,
        ending: Ending::Cut,
        lasted: first_byte,
        heard: first_byte,
    };
    (answer, body)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    // It may come from anywhere, and goes into a message.
    let clean = |value: &str| value.chars().filter(|c| !c.is_control()).take(60).collect();
    headers.get(name).map(|value| clean(&String::from_utf8_lossy(value.as_bytes())))
}

impl Answer {
    fn hear(&mut self, line: &[u8]) {
        if line.is_empty() || self.ending != Ending::Cut {
            return;
        }
        if line.starts_with(b"retry:") {
            return; // by which what stands in for the nodes begins
        }
        if line.strip_prefix(b": ") == Some(NO_NODE.as_bytes()) {
            self.ending = Ending::Absent;
            return;
        }
        match str::from_utf8(line).unwrap_or_default().parse() {
            Ok(Comment::Sent { at, .. }) => {
                self.comments.push(Arrival { sent: Duration::from_millis(at), came: self.heard });
            }
            Ok(Comment::Waits) => {}
            Ok(Comment::End) => self.ending = Ending::Complete,
            Ok(Comment::Stopped) => self.ending = Ending::Stopped,
            Err(()) => self.strange = true,
        }
    }
}

/// Lines of a stream that comes in pieces.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
    total: usize,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8], mut hear: impl FnMut(&[u8])) {
        self.total += bytes.len();
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            hear(line.trim_ascii_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let mut lines = Lines::default();
        let mut heard = Vec::new();
        for piece in [": probe 1", " 5\n\n: pro", "be end\r\n"] {
            lines.feed(piece.as_bytes(), |line| heard.push(String::from_utf8_lossy(line).into_owned()));
        }
        assert_eq!(heard, [": probe 1 5", "", ": probe end"]);
    }
}
