//! One connection to the stream, read as WHATWG HTML 9.2 says, with the time of each piece.

use std::{
    collections::VecDeque,
    io::Write,
    time::{Duration, Instant},
};

use flate2::write::GzDecoder;
use http_body_util::BodyExt;
use hyper::{Method, body::Incoming, http::response::Parts};
use ssefleet_tests::sse::parser::{Event, Parser};
use tokio::time::timeout;

use crate::target::{Fields, Target, Trouble};

/// How long an event may take that has been published.
const PROMPT: Duration = Duration::from_secs(3);

/// Why what should come did not.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error("the answer is {0}, not 200 and text/event-stream")]
    NoStream(String),
    #[error("nothing came within {0:?}")]
    Silent(Duration),
    #[error("the stream ended")]
    Ended,
    #[error("what came is not the gzip it says it is: {0}")]
    Gzip(std::io::Error),
}

/// An event of this run, and when its last byte was here.
#[derive(Debug)]
pub struct Received {
    pub at: Instant,
    pub event: Event,
}

pub struct Subscription {
    pub head: Parts,
    body: Incoming,
    inflate: Option<GzDecoder<Vec<u8>>>,
    parser: Parser,
    /// All of the body so far, decompressed.
    pub text: Vec<u8>,
    /// Events of this run that were not asked for yet.
    events: VecDeque<Received>,
    /// What the data of this run begin with.
    run: String,
    /// Whether the last piece held an event, of whomever.
    eventful: bool,
}

impl Subscription {
    pub async fn open(
        target: &Target,
        run: &str,
        parameter: Option<(&str, &str)>,
        fields: Fields<'_>,
    ) -> Result<Self, Missing> {
        let accept = [("accept", "text/event-stream"), ("cache-control", "no-cache")];
        let fields = [&accept, fields].concat();
        let (head, body) = target.send(Method::GET, parameter, &fields, "").await?.into_parts();
        let field = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let kind = field("content-type");
        if head.status != 200 || !is_event_stream(&kind) {
            return Err(Missing::NoStream(format!("{} {kind}", head.status.as_u16())));
        }
        let inflate = (field("content-encoding") == "gzip").then(|| GzDecoder::new(Vec::new()));
        let (parser, run) = (Parser::new(""), run.to_owned());
        Ok(Self { head, body, inflate, parser, text: Vec::new(), events: VecDeque::new(), run, eventful: false })
    }

    pub fn is_gzip(&self) -> bool {
        self.inflate.is_some()
    }

    pub fn retry(&self) -> Option<u64> {
        self.parser.retry()
    }

    /// The next event of this run.
    pub async fn next(&mut self) -> Result<Received, Missing> {
        let reading = async {
            loop {
                if let Some(received) = self.events.pop_front() {
                    return Ok(received);
                }
                self.piece().await?;
            }
        };
        timeout(PROMPT, reading).await.unwrap_or(Err(Missing::Silent(PROMPT)))
    }

    /// The next events are these and no others; returns the id of the last, with which a client would come back.
    pub async fn expect(&mut self, wanted: &[String]) -> Result<String, String> {
        let mut id = String::new();
        for wanted in wanted {
            let got = self.next().await.map_err(|why| format!("{why}; {wanted} was next"))?;
            if got.event.data != *wanted {
                return Err(format!("{} came where {wanted} was next", got.event.data));
            }
            id = got.event.id;
        }
        Ok(id)
    }

    /// A piece that carries no event of anybody: a sign of life.
    pub async fn heartbeat(&mut self, within: Duration) -> Result<(), Missing> {
        let reading = async {
            loop {
                self.piece().await?;
                if !self.eventful {
                    return Ok(());
                }
            }
        };
        timeout(within, reading).await.unwrap_or(Err(Missing::Silent(within)))
    }

    /// Reads what comes for a while, or until the stream ends.
    pub async fn listen(&mut self, for_so_long: Duration) {
        let reading = async { while self.piece().await.is_ok() {} };
        timeout(for_so_long, reading).await.ok();
    }

    async fn piece(&mut self) -> Result<(), Missing> {
        let frame = self.body.frame().await.ok_or(Missing::Ended)?.map_err(Trouble::Http)?;
        let at = Instant::now();
        let Ok(bytes) = frame.into_data() else { return Ok(()) };
        let bytes = match &mut self.inflate {
            None => bytes.to_vec(),
            Some(inflate) => {
                // What a flush of the sender has closed comes out at once; a browser does the same.
                inflate.write_all(&bytes).and_then(|()| inflate.flush()).map_err(Missing::Gzip)?;
                std::mem::take(inflate.get_mut())
            }
        };
        self.text.extend_from_slice(&bytes);
        let events = self.parser.feed(&bytes);
        self.eventful = !events.is_empty();
        let ours = events.into_iter().filter(|event| event.data.starts_with(&self.run));
        self.events.extend(ours.map(|event| Received { at, event }));
        Ok(())
    }
}

/// By the essence of the media type, as parameters may follow (WHATWG HTML 9.2.3).
pub fn is_event_stream(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}
