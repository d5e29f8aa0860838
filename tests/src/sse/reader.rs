//! A subscriber: it stays connected to a stream through the ingress, as an `EventSource` does, and keeps all that
//! it got, with the time.
//!
//! It reconnects when a connection ends, after the stream's `retry:`, with the last id. Unlike a browser it also
//! tries again after a status other than 200, as libraries do; [`Reader::refusals`] counts those.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    sync::Mutex,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming};
use k8s_openapi::api::core::v1::Pod;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use crate::{
    cluster::Access,
    dial::{self, Target, dial},
    must::Must,
    publisher::Published,
    sse::parser::{Event, Parser},
};

/// An event, and when its last byte was here.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub event: Event,
}

impl Received {
    /// The number that the event carries.
    pub fn number(&self) -> u64 {
        self.event.data.parse().must(format_args!("read a number in {:?}", self.event))
    }
}

enum Note {
    /// A stream began, from this pod.
    Connected(String, Instant),
    Event(Received),
    /// Another status than 200, or no connection.
    Refused(String),
}

/// A subscriber. Dropped, it disconnects.
pub struct Reader {
    notes: mpsc::UnboundedReceiver<Note>,
    task: JoinHandle<()>,
    pods: Vec<String>,
    begun: Vec<Instant>,
    refusals: Vec<String>,
    /// All events so far.
    pub received: Vec<Received>,
}

/// What a reader connects to.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Where it connects to.
    pub via: Target,
    pub host: String,
    pub path_and_query: String,
    /// Sent with each request.
    pub headers: Vec<(String, String)>,
}

/// How long an event may take before a test fails; many times what a noisy machine takes, and longer than Traefik tries to
/// reach a pod that is gone (`forwardingTimeouts.dialTimeout`, 30 s).
const PATIENCE: Duration = Duration::from_mins(1);

impl Reader {
    /// Subscribes; returns when the first stream has begun. Until then it tries often: a new Ingress takes a moment.
    pub async fn connect(access: Access, subscription: Subscription) -> Self {
        let (sender, notes) = mpsc::unbounded_channel();
        let what = format!("subscribe to http://{}{}", subscription.host, subscription.path_and_query);
        let task = tokio::spawn(stay_connected(access, subscription, sender));
        let mut reader =
            Self { notes, task, pods: Vec::new(), begun: Vec::new(), refusals: Vec::new(), received: Vec::new() };
        let first = timeout(PATIENCE, async {
            while reader.pods.is_empty() {
                reader.take_note().await;
            }
        });
        let connected = first.await.is_ok();
        assert!(connected, "could not {what} in {PATIENCE:?}; the last answer was {:?}", reader.refusals.last());
        reader.refusals.clear();
        reader
    }

    /// The pod that serves it now.
    pub fn pod(&self) -> &str {
        self.pods.last().map_or("", String::as_str)
    }

    /// How many streams it has begun: 1 if it was never disconnected.
    pub fn connections(&self) -> usize {
        self.pods.len()
    }

    /// When each of its streams began.
    pub fn begun(&self) -> &[Instant] {
        &self.begun
    }

    /// What reconnects were told other than 200.
    pub fn refusals(&self) -> &[String] {
        &self.refusals
    }

    /// The next event.
    pub async fn next(&mut self) -> Received {
        let next = timeout(PATIENCE, async {
            loop {
                if let Some(received) = self.take_note().await {
                    return received;
                }
            }
        });
        if let Ok(received) = next.await {
            return received;
        }
        let (last, connections, refusals) = (self.received.last(), self.pods.len(), &self.refusals);
        panic!("no event in {PATIENCE:?} after {last:?} ({connections} connections, refused: {refusals:?})");
    }

    /// Waits until its stream has ended and it is not let in again; returns the status that it is told.
    pub async fn refused(&mut self, within: Duration) -> String {
        let before = self.refusals.len();
        let waited = timeout(within, async {
            while self.refusals.len() == before {
                self.take_note().await;
            }
        });
        assert!(waited.await.is_ok(), "it still reads after {within:?}");
        self.refusals[before].clone()
    }

    /// The next events carry exactly these numbers, in order.
    pub async fn expect(&mut self, numbers: RangeInclusive<u64>) -> Vec<Received> {
        let mut received = Vec::new();
        for number in numbers {
            let next = self.next().await;
            assert!(
                next.event.data == number.to_string(),
                "{number} is missing or came before; from {} came {:?}",
                self.pod(),
                next.event
            );
            received.push(next);
        }
        received
    }

    /// The next events are what was published and is not here yet: each acknowledged number once, in order; a number
    /// whose publisher got no answer may be there or not.
    pub async fn expect_published(&mut self, published: &Published) -> Vec<Received> {
        let mut received: Vec<Received> = Vec::new();
        let mut last = self.received.last().map(Received::number);
        let here = last.unwrap_or_default();
        let mut wanted = published.acknowledged().map(|attempt| attempt.number).filter(|&n| n > here).peekable();
        while let Some(&number) = wanted.peek() {
            let next = self.next().await;
            let got = next.number();
            assert!(last.is_none_or(|last| got > last), "{got} is repeated or late: it came after {last:?}");
            assert!(got <= number, "{number} is missing: it was acknowledged, and the next event is {got}");
            if got == number {
                wanted.next();
            }
            last = Some(got);
            received.push(next);
        }
        received
    }

    /// Takes note of all that has happened up to now, without waiting.
    pub fn catch_up(&mut self) {
        while let Ok(note) = self.notes.try_recv() {
            self.keep(note);
        }
    }

    /// Waits for the next thing to happen; an event is kept and returned.
    async fn take_note(&mut self) -> Option<Received> {
        let note = self.notes.recv().await.must("go on reading, as the reader's task has ended");
        self.keep(note)
    }

    fn keep(&mut self, note: Note) -> Option<Received> {
        match note {
            Note::Connected(pod, at) => {
                self.pods.push(pod);
                self.begun.push(at);
            }
            Note::Refused(reason) => self.refusals.push(reason),
            Note::Event(received) => {
                self.received.push(received.clone());
                return Some(received);
            }
        }
        None
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A pause before a subscriber that was refused, or has no `retry:` yet, tries again.
const PAUSE: Duration = Duration::from_millis(100);

async fn stay_connected(access: Access, subscription: Subscription, notes: mpsc::UnboundedSender<Note>) {
    let mut last_event_id = String::new();
    let mut pause = PAUSE;
    loop {
        match open(&access, &subscription, &last_event_id).await {
            Ok(response) if response.status() == 200 => {
                let pod = response.headers().get("x-sse-node").and_then(|value| value.to_str().ok());
                let pod = pod.unwrap_or_default().to_owned();
                if !is_of(&access, &subscription.host, &pod).await {
                    // An Ingress for any host, such as the demo's, answers until the controller knows this one.
                    notes.send(Note::Refused(format!("{pod} is another stream's node"))).ok();
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                if notes.send(Note::Connected(pod, Instant::now())).is_err() {
                    return;
                }
                let mut parser = Parser::new(last_event_id);
                read(response.into_body(), &mut parser, &notes).await;
                last_event_id = parser.last_event_id().to_owned();
                pause = parser.retry().map_or(PAUSE, Duration::from_millis);
            }
            Ok(response) => {
                notes.send(Note::Refused(response.status().to_string())).ok();
            }
            Err(cause) => {
                notes.send(Note::Refused(cause.to_string())).ok();
            }
        }
        tokio::time::sleep(pause).await; // what `retry:` asks for
    }
}

/// Whether a pod is in the namespace that the host name tells.
async fn is_of(access: &Access, host: &str, pod: &str) -> bool {
    static KNOWN: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());
    let namespace = host.split('.').nth(1).unwrap_or_default();
    let seen = (namespace.to_owned(), pod.to_owned());
    if KNOWN.lock().is_ok_and(|known| known.contains(&seen)) {
        return true;
    }
    let found = access.api::<Pod>(namespace).get_metadata_opt(pod).await;
    let found = matches!(found, Ok(Some(_)));
    if found && let Ok(mut known) = KNOWN.lock() {
        known.insert(seen);
    }
    found
}

async fn open(
    access: &Access,
    subscription: &Subscription,
    last_event_id: &str,
) -> Result<Response<Incoming>, dial::Error> {
    let mut connection = dial(access, &subscription.via).await?;
    let mut request = Request::get(&subscription.path_and_query)
        .header("host", &subscription.host)
        .header("accept", "text/event-stream");
    for (name, value) in &subscription.headers {
        request = request.header(name, value);
    }
    if !last_event_id.is_empty() {
        request = request.header("last-event-id", last_event_id);
    }
    Ok(connection.send_request(request.body(Full::<Bytes>::default())?).await?)
}

/// Reads until the stream ends or breaks.
async fn read(mut body: Incoming, parser: &mut Parser, notes: &mpsc::UnboundedSender<Note>) {
    while let Some(Ok(frame)) = body.frame().await {
        let at = Instant::now();
        for event in frame.data_ref().map(|bytes| parser.feed(bytes)).unwrap_or_default() {
            if notes.send(Note::Event(Received { at, event })).is_err() {
                return;
            }
        }
    }
}
