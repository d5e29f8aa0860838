//! A subscriber that says which codings it accepts, and unpacks what it gets as browsers do: as it comes, and strictly
//! once it is over.

use std::{
    collections::VecDeque,
    io::{Read, Write},
};

use flate2::{read::MultiGzDecoder, write::GzDecoder};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Version,
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ssefleet_tests::sse::parser::{Event, Parser};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::support::PATIENCE;

/// A subscriber, by any protocol.
pub struct Client {
    pub response: hyper::http::response::Parts,
    body: Incoming,
    /// The body as it came.
    pub bytes: Vec<u8>,
    /// What unpacks it, if it is packed.
    decoder: Option<GzDecoder<Vec<u8>>>,
    pub text: String,
    parser: Parser,
    events: VecDeque<Event>,
}

impl Client {
    /// Subscribes over a connection that is there.
    pub async fn subscribe<S>(io: S, version: Version, accept_encoding: &str) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let request = Request::get("http://node/events").header("host", "node").version(version);
        let request = request.header("accept-encoding", accept_encoding);
        let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
        let io = TokioIo::new(io);
        let response = if version == Version::HTTP_2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            let response = sender.send_request(request).await.unwrap();
            // Without a sender, the connection would end.
            tokio::spawn(async move {
                let _sender = sender;
                std::future::pending::<()>().await;
            });
            response
        } else {
            let (mut sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        assert_eq!(response.status(), 200);
        let (response, body) = response.into_parts();
        let decoder = response.headers.contains_key("content-encoding").then(|| GzDecoder::new(Vec::new()));
        let (parser, events) = (Parser::new(""), VecDeque::new());
        Self { response, body, bytes: Vec::new(), decoder, text: String::new(), parser, events }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The next event; nothing but it has to come.
    pub async fn next(&mut self) -> Event {
        while self.events.is_empty() {
            assert!(self.more().await, "the stream is over: {}", self.text);
        }
        self.events.pop_front().unwrap()
    }

    /// All of it, once it is over: unpacked as one who trusts nothing does it.
    pub async fn whole(mut self) -> String {
        let reading = async { while self.more().await {} };
        assert!(timeout(PATIENCE, reading).await.is_ok(), "it does not end");
        if self.decoder.is_some() {
            let mut text = String::new();
            MultiGzDecoder::new(&*self.bytes).read_to_string(&mut text).unwrap();
            assert!(text == self.text, "as it came it was something else");
        }
        self.text
    }

    /// Reads on; false when it is over.
    pub async fn more(&mut self) -> bool {
        let frame = timeout(PATIENCE, self.body.frame()).await.unwrap_or_else(|_| panic!("no more than {}", self.text));
        let Some(frame) = frame else { return false };
        let bytes = frame.unwrap().into_data().unwrap();
        self.bytes.extend_from_slice(&bytes);
        let text = match &mut self.decoder {
            None => bytes.to_vec(),
            Some(decoder) => {
                decoder.write_all(&bytes).unwrap();
                decoder.flush().unwrap();
                std::mem::take(decoder.get_mut())
            }
        };
        self.events.extend(self.parser.feed(&text));
        self.text += str::from_utf8(&text).unwrap();
        true
    }
}
