//! The first bytes of a connection: enough of them to tell what it speaks, and whether its first request can
//! be served on the bare socket.

use std::io;

use hyper::http::uri::PathAndQuery;
use tokio::{io::AsyncReadExt, net::TcpStream};

use super::{
    bounds::{MAX_HEAD, MAX_TARGET},
    fields::Fields,
};

/// What a client begins with that knows that we speak HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// More header fields than this and hyper sees to the request.
const MAX_FIELDS: usize = 64;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Http1,
    Http2,
}

/// Reads until the first head is complete, or cannot be one that is of interest. None: the client has gone.
pub async fn read(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<Speaks>> {
    loop {
        // Waiting costs no buffer.
        socket.readable().await?;
        bytes.reserve(1024);
        // Where the end of a head may begin, of which the rest has just come: what was looked at is not looked at again.
        let new = bytes.len().saturating_sub(3);
        if socket.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
        if bytes.starts_with(PREFACE) {
            return Ok(Some(Speaks::Http2));
        }
        let may_be_preface = PREFACE.starts_with(&bytes[..bytes.len().min(PREFACE.len())]);
        if !may_be_preface && (has_end(&bytes[new..]) || bytes.len() >= MAX_HEAD) {
            return Ok(Some(Speaks::Http1));
        }
    }
}

/// A head ends with an empty line; some clients end lines with LF alone.
fn has_end(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(4).any(|four| four == b"\r\n\r\n")
}

/// A GET without a body, of HTTP/1.
#[derive(Debug, PartialEq, Eq)]
pub struct Get<'a> {
    pub path: &'a str,
    pub query: &'a str,
    /// Whether the client understands chunks: HTTP/1.1, not 1.0.
    pub chunked: bool,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Get<'a> {
    /// None: the request is something else, or bad. Then hyper sees to it.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        let httparse::Status::Complete(length) = request.parse(bytes).ok()? else { return None };
        // A second request behind it, or a body: nothing that we would read.
        if request.method? != "GET" || length != bytes.len() {
            return None;
        }
        let target = request.path?;
        // What hyper would read otherwise, or not at all: another form than that of a path, a fragment, odd characters.
        if !target.starts_with('/')
            || target.len() > MAX_TARGET
            || PathAndQuery::try_from(target).ok()?.as_str() != target
        {
            return None;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let chunked = request.version? == 1;
        let mut fields = Vec::with_capacity(request.headers.len());
        for field in &*request.headers {
            let unusual = ["content-length", "transfer-encoding", "upgrade", "expect"];
            if unusual.iter().any(|name| field.name.eq_ignore_ascii_case(name)) {
                return None;
            }
            fields.push((field.name, str::from_utf8(field.value).ok()?));
        }
        let get = Self { path, query, chunked, fields };
        let hosts = get.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host")).count();
        (hosts == 1 || !chunked).then_some(get)
    }

    pub fn fields(&self) -> Fields<'_> {
        Fields::Raw(&self.fields)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_get_is_taken_over_and_nothing_else() {
        let get = Get::parse(b"GET /events?topic=a HTTP/1.1\r\nHost: x\r\nLAST-event-id: z-1\r\n\r\n").unwrap();
        assert_eq!((get.path, get.query, get.chunked), ("/events", "topic=a", true));
        assert_eq!((get.fields().first("last-event-id"), get.fields().first("accept")), (Some("z-1"), None));
        assert!(!Get::parse(b"GET /events HTTP/1.0\r\n\r\n").unwrap().chunked);
        for other in [
            "POST /events HTTP/1.1\r\n\r\n",
            "GET /events HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
            "GET /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /events HTTP/1.1\r\nHost: x\r\n\r\nGET /events HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /events HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n\r\n",
            "GET /events HTTP/1.1\r\nHost: x\r\n bad: x\r\n\r\n",
            "GET /events HTTP/1.1\r\n\r\n",
            "GET /events HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
            "GET /events?topic=a#b HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET http://x/events HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /events\r\n\r\n",
            "nonsense\n\n",
        ] {
            assert_eq!(Get::parse(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Get::parse(&bytes);
        }
    }
}
