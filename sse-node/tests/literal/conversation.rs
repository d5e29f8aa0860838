//! One connection, and everything that was said on it.

use std::{fmt::Write, io::Read, net::SocketAddr};

use flate2::read::GzDecoder;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::PATIENCE;

pub struct Conversation {
    socket: TcpStream,
    request: String,
    heard: Vec<u8>,
}

impl Conversation {
    /// Sends a request of these lines; the one with `Host` is added.
    pub async fn begin(node: SocketAddr, lines: &[&str]) -> Self {
        Self::with_body(node, lines, "").await
    }

    /// The same with a body, whose length is added.
    pub async fn with_body(node: SocketAddr, lines: &[&str], body: &str) -> Self {
        let mut request = format!("{} HTTP/1.1\r\nHost: node\r\n", lines[0]);
        for line in &lines[1..] {
            write!(request, "{line}\r\n").unwrap();
        }
        if !body.is_empty() {
            write!(request, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        write!(request, "\r\n{body}").unwrap();
        let mut socket = TcpStream::connect(node).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        Self { socket, request, heard: Vec::new() }
    }

    /// Hears more until this has been said.
    pub async fn until(&mut self, end: &str) -> &mut Self {
        let hearing = async {
            while !self.heard.windows(end.len()).any(|window| window == end.as_bytes()) {
                let taken = self.socket.read_buf(&mut self.heard).await.unwrap();
                assert!(taken > 0, "it ended: {}", String::from_utf8_lossy(&self.heard));
            }
        };
        assert!(timeout(PATIENCE, hearing).await.is_ok(), "no {end:?} in {}", String::from_utf8_lossy(&self.heard));
        self
    }

    /// The answer to its end, on a connection that stays open.
    pub async fn whole(mut self) -> String {
        self.until("\r\n\r\n").await;
        let head = String::from_utf8_lossy(&self.heard).to_ascii_lowercase();
        if head.contains("transfer-encoding: chunked") {
            return self.until("\r\n0\r\n\r\n").await.told();
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0").to_owned();
        let length = head.find("\r\n\r\n").unwrap() + 4 + length.parse::<usize>().unwrap();
        while self.heard.len() < length && !self.request.starts_with("HEAD ") {
            assert!(timeout(PATIENCE, self.socket.read_buf(&mut self.heard)).await.unwrap().unwrap() > 0);
        }
        self.told()
    }

    /// What was said so far: the request, then the answer, its chunks put together.
    pub fn told(&self) -> String {
        let at = self.heard.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(self.heard[..at].to_vec()).unwrap();
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let mut body = if chunked { unchunked(&self.heard[at..]) } else { self.heard[at..].to_vec() };
        let mut note = "";
        if head.to_ascii_lowercase().contains("content-encoding: gzip") {
            note = "(unpacked:)\n";
            let mut text = Vec::new();
            // The stream goes on: what there is of it ends early.
            let _ = GzDecoder::new(&body[..]).read_to_end(&mut text);
            body = text;
        }
        let body = String::from_utf8(body).unwrap();
        steady(&format!("{}\n{}{note}{body}", self.request, head).replace("\r\n", "\n"))
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        let Some(chunk) = rest.get(at + 2..at + 2 + length) else { break };
        body.extend(chunk);
        rest = rest.get(at + 4 + length..).unwrap_or_default();
    }
    body
}

/// Puts words in place of what differs from run to run.
fn steady(text: &str) -> String {
    let retries = text.contains("\nretry: ");
    let lines = text.lines().map(|line| {
        let field = |name: &str| line.to_ascii_lowercase().starts_with(name);
        if field("date: ") {
            return "date: <date>".to_owned();
        }
        if field("x-sse-connection: ") {
            return "x-sse-connection: <connection>".to_owned();
        }
        // As long as the number in it.
        if retries && field("content-length: ") {
            return "content-length: <number>".to_owned();
        }
        // Jittered, or less by the time that the test took.
        for name in ["retry: ", "retry-after: ", "ratelimit-reset: "] {
            if field(name) {
                return format!("{name}<number>");
            }
        }
        epoch(line)
    });
    lines.flat_map(|line| [line, "\n".into()]).collect()
}

/// `<epoch>` in place of the eight characters before the number of an id.
fn epoch(line: &str) -> String {
    let bytes = line.as_bytes();
    let is_epoch = |from: usize| {
        from + 9 < bytes.len()
            && bytes[from..from + 8].iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && bytes[from + 8] == b'-'
            && bytes[from + 9].is_ascii_digit()
            && (from == 0 || !bytes[from - 1].is_ascii_alphanumeric())
    };
    match (0..bytes.len()).find(|from| is_epoch(*from)) {
        Some(from) => format!("{}<epoch>{}", &line[..from], epoch(&line[from + 8..])),
        None => line.to_owned(),
    }
}
