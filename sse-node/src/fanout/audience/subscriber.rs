//! One subscriber: what a connection costs is what stands here.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use prometheus::IntGauge;

use crate::{
    encode::{Body, Frame},
    event::Position,
    fanout::{clock::Tick, lapse::Lapse, page::Page, ring::Entry, tie::Tie, topics::Topics},
    metrics::Closed,
};

/// Where a subscriber's bytes go. Taking none of them is `WouldBlock`.
pub trait Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize>;
    /// The last words, whether they are taken or not.
    fn end(&mut self, last: &[u8]);
}

/// Writes; a full socket takes nothing.
pub(super) fn put(sink: &mut impl Sink, bytes: &[u8]) -> Result<usize, Closed> {
    match sink.write(bytes) {
        Ok(taken) => Ok(taken),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(_) => Err(Closed::Dead),
    }
}

/// A place at the table: counted while it is held.
pub struct Place(IntGauge);

impl Place {
    /// None when `max` are taken.
    pub fn take(connections: &IntGauge, max: usize) -> Option<Self> {
        connections.inc();
        let place = Self(connections.clone());
        usize::try_from(connections.get()).is_ok_and(|taken| taken <= max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One who wants to be a subscriber.
pub struct Newcomer<S> {
    pub id: u64,
    pub sink: S,
    pub peer: Option<SocketAddr>,
    pub topics: Topics,
    /// Which has the greeting already.
    pub body: Body,
    /// What it has seen.
    pub cursor: Position,
    /// What it is told before anything else.
    pub greeting: Bytes,
    /// The `retry:` that it was told.
    pub retry: Duration,
    pub place: Place,
    pub tie: Option<Box<Tie>>,
}

/// One subscriber of a shard.
pub(super) struct Subscriber<S> {
    pub id: u64,
    pub generation: u32,
    pub sink: S,
    pub body: Body,
    pub topics: Topics,
    pub state: State,
    /// While live: the newest number that was written. All that it wants up to here, and up to what the shard
    /// has dispatched, has been.
    pub seen: u64,
    /// The last position that the client was told, by an event or a heartbeat.
    pub told: u64,
    pub created: Tick,
    pub written: Tick,
    pub expires: Tick,
    /// When it is to be looked at next.
    pub due: Tick,
    /// It is among those to whom several events are being written.
    pub listed: bool,
    pub events: u32,
    pub bytes: u64,
    /// In milliseconds.
    pub retry: u32,
    pub peer: Option<SocketAddr>,
    pub _place: Place,
    pub tie: Option<Box<Tie>>,
}

/// Whether events go straight to the socket.
pub(super) enum State {
    /// All that there is has been written.
    Live,
    /// It lacks something: it reads the log from its cursor on.
    Behind(Box<Behind>),
}

/// What is kept of one that lacks something.
#[expect(clippy::struct_excessive_bools, reason = "each is true or not whatever the others are")]
pub(super) struct Behind {
    /// All up to here has been written, or is in `rest`.
    pub cursor: Position,
    /// What is left of a frame that was begun.
    pub rest: Bytes,
    /// The socket is full: it tells when it is not.
    pub blocked: bool,
    /// It stands in the queue of those that can be written to.
    pub queued: bool,
    /// What it wants next was asked for.
    pub asked: bool,
    /// What it is told when `rest` is written.
    pub word: Option<Frame>,
    /// It goes on with the newest event.
    pub skipping: bool,
    /// Of each topic only the newest, until it is live again.
    pub conflating: bool,
    /// The log was asked, and has nothing older than the ring.
    pub nothing_older: bool,
    /// Older events, for as long as it can be written to.
    pub page: Option<Arc<Page>>,
}

impl Behind {
    pub fn new(cursor: Position, rest: Bytes) -> Self {
        Self {
            cursor,
            rest,
            blocked: false,
            queued: false,
            asked: false,
            word: None,
            skipping: false,
            conflating: false,
            nothing_older: false,
            page: None,
        }
    }
}

impl<S> Subscriber<S> {
    pub fn new(newcomer: Newcomer<S>, generation: u32, now: Tick, max_age: u32) -> Self {
        let age = f64::from(max_age) * (0.9 + fastrand::f64() * 0.2);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of the same range as max_age")]
        let age = age as u32;
        let mut expires = now.after(age);
        let mut tie = newcomer.tie;
        if let Some(tie) = &mut tie
            && let Some(lasts) = tie.identity.as_ref().and_then(|identity| identity.lasts)
        {
            let lapse = Lapse::of(lasts, now);
            tie.lapse = Some(lapse);
            expires = expires.min(lapse.closes);
        }
        Self {
            id: newcomer.id,
            generation,
            sink: newcomer.sink,
            body: newcomer.body,
            topics: newcomer.topics,
            state: State::Behind(Box::new(Behind::new(newcomer.cursor, newcomer.greeting))),
            seen: 0,
            told: newcomer.cursor.seq,
            created: now,
            written: now,
            expires,
            due: Tick(u32::MAX),
            listed: false,
            events: 0,
            bytes: 0,
            retry: u32::try_from(newcomer.retry.as_millis()).unwrap_or(u32::MAX),
            peer: newcomer.peer,
            _place: newcomer.place,
            tie,
        }
    }

    pub fn is_blocked(&self) -> bool {
        matches!(&self.state, State::Behind(behind) if behind.blocked)
    }

    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    /// When the end of its token comes near, or time ends the stream.
    pub fn deadline(&self) -> Tick {
        let warns = self.tie.as_ref().and_then(|tie| tie.lapse?.warns);
        warns.map_or(self.expires, |warns| warns.min(self.expires))
    }

    /// Why time ends the stream.
    pub fn why_over(&self) -> Closed {
        let lapsed = self.tie.as_ref().and_then(|tie| tie.lapse).is_some_and(|lapse| lapse.closes <= self.expires);
        if lapsed { Closed::TokenExpired } else { Closed::MaxAge }
    }
}

/// What became of some frames.
pub(super) struct Wrote {
    /// Frames that were written, or begun.
    pub events: u64,
    pub bytes: u64,
    /// Where the socket stopped taking, if it did: all up to the position is written but for the rest.
    pub stopped: Option<(Position, Bytes)>,
}

impl<S: Sink> Subscriber<S> {
    /// Writes frames of events, in one go.
    pub fn write_frames(&mut self, entries: &[&Entry], now: Tick) -> Result<Wrote, Closed> {
        let mut parts: arrayvec::ArrayVec<io::IoSlice<'_>, 64> = arrayvec::ArrayVec::new();
        parts.extend(entries.iter().take(64).map(|entry| io::IoSlice::new(self.body.bytes(&entry.frame))));
        let mut taken = match self.sink.write_vectored(&parts) {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Err(Closed::Dead),
        };
        let mut wrote = Wrote { events: 0, bytes: taken as u64, stopped: None };
        self.bytes += taken as u64;
        for entry in entries.iter().take(64) {
            let length = self.body.bytes(&entry.frame).len();
            if taken == 0 {
                wrote.stopped = Some((entry.position.before(), Bytes::new()));
                break;
            }
            wrote.events += 1;
            self.wrote(entry, now);
            if taken < length {
                wrote.stopped = Some((entry.position, self.body.rest(&entry.frame, taken)));
                break;
            }
            taken -= length;
        }
        Ok(wrote)
    }

    /// An event was given to the socket.
    pub fn wrote(&mut self, entry: &Entry, now: Tick) {
        self.body.begun(&entry.frame);
        self.seen = entry.position.seq;
        self.told = entry.position.seq;
        self.written = now;
        self.events = self.events.saturating_add(1);
    }

    /// The socket is full.
    pub fn block(&mut self, cursor: Position, rest: Bytes) {
        let mut behind = Behind::new(cursor, rest);
        behind.blocked = true;
        self.state = State::Behind(Box::new(behind));
    }
}
