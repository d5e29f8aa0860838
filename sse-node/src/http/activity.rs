//! What a connection that hyper serves is doing, and until when it may: it owes us a head, a handler is at work, or
//! an answer is being taken. A stream has its own rules, in `fanout`, and is left alone here.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{
    bounds::{Bounds, RESETS},
    first::Speaks,
    respond::{self, Body, Response},
    waiting::{Seat, Waiting},
};

/// Why a connection is ended before its client ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The head of a request did not come in time.
    HeadLate,
    Idle,
    /// Too many others wait, and this one has for longest.
    Crowded,
    /// The answer was not taken.
    NotTaken,
    /// Its client breaks off streams all the time.
    Resets,
}

impl Over {
    pub fn label(self) -> &'static str {
        match self {
            Self::HeadLate => "head_late",
            Self::Idle => "idle",
            Self::Crowded => "crowded",
            Self::NotTaken => "not_taken",
            Self::Resets => "resets",
        }
    }
}

/// One connection's.
pub struct Activity {
    state: Mutex<State>,
    bounds: Bounds,
    waiting: Waiting,
    speaks: Speaks,
    /// The one who serves it is to look at it again.
    pub look: Arc<Notify>,
}

struct State {
    /// Requests that are not done, and when the next part of their answers must have been taken.
    requests: HashMap<u64, Option<Instant>>,
    next: u64,
    /// There is no request: since when, and whether some of its head is here. Of a new connection it must come.
    since: Instant,
    begun: bool,
    seat: Option<Seat>,
    resets: u32,
    resets_since: Instant,
}

impl Activity {
    pub fn new(speaks: Speaks, bounds: Bounds, waiting: Waiting, look: Arc<Notify>) -> Arc<Self> {
        let (now, seat) = (Instant::now(), waiting.sit(&look));
        let state = State {
            requests: HashMap::new(),
            next: 0,
            since: now,
            begun: true,
            seat: Some(seat),
            resets: 0,
            resets_since: now,
        };
        Arc::new(Self { state: Mutex::new(state), bounds, waiting, speaks, look })
    }

    /// Bytes have come. Of HTTP/2 they may be anything, so that they don't count.
    pub fn hears(&self) {
        let mut state = self.state.lock();
        if self.speaks == Speaks::Http1 && state.requests.is_empty() && !state.begun {
            (state.since, state.begun) = (Instant::now(), true);
        }
    }

    /// A request has come.
    pub fn begin(self: &Arc<Self>) -> Turn {
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        state.requests.insert(number, None);
        state.seat = None;
        Turn { activity: self.clone(), number, dear: true }
    }

    /// No request is under way.
    pub fn waits(&self) -> bool {
        self.state.lock().requests.is_empty()
    }

    /// Why it has to end right now, or when that has to be asked again.
    pub fn verdict(&self) -> Result<Instant, Over> {
        let (state, now) = (self.state.lock(), Instant::now());
        if state.resets > RESETS {
            return Err(Over::Resets);
        }
        // Nothing that begins from now on is over before that.
        let again = now + self.bounds.head.min(self.bounds.taking).min(self.bounds.idle);
        let (until, over) = match state.requests.values().flatten().min() {
            Some(taken) => (*taken, Over::NotTaken),
            None if !state.requests.is_empty() => return Ok(again),
            None if state.begun => (state.since + self.bounds.head, Over::HeadLate),
            None => (state.since + self.bounds.idle, Over::Idle),
        };
        if until <= now { Err(over) } else { Ok(until.min(again)) }
    }

    fn done(&self, number: u64, broken_off: bool) {
        let mut state = self.state.lock();
        let now = Instant::now();
        state.requests.remove(&number);
        if state.requests.is_empty() {
            (state.since, state.begun) = (now, false);
            state.seat = Some(self.waiting.sit(&self.look));
        }
        if broken_off && self.speaks == Speaks::Http2 {
            if now - state.resets_since > self.bounds.resets_within {
                (state.resets, state.resets_since) = (0, now);
            }
            state.resets += 1;
            if state.resets > RESETS {
                self.look.notify_one();
            }
        }
    }
}

/// A request, from its head to the last byte of its answer.
pub struct Turn {
    activity: Arc<Activity>,
    number: u64,
    /// It is of no small cost to us when it is broken off now.
    dear: bool,
}

impl Turn {
    /// The answer, watched while it is taken.
    pub fn answer(mut self, response: Response) -> hyper::Response<Watched> {
        let is_stream = respond::header(response.headers(), "content-type") == Some("text/event-stream");
        self.dear = is_stream && !response.body().is_end_stream();
        if !is_stream {
            self.expect();
        }
        response.map(|body| Watched { body, is_stream, turn: self })
    }

    /// From now on, the next part of the answer has to be taken.
    fn expect(&self) {
        let until = Instant::now() + self.activity.bounds.taking;
        self.activity.state.lock().requests.insert(self.number, Some(until));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.activity.done(self.number, self.dear);
    }
}

/// The body of an answer.
pub struct Watched {
    body: Body,
    is_stream: bool,
    turn: Turn,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() {
            self.turn.dear = false;
        } else if !self.is_stream {
            self.turn.expect();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
