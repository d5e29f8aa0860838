//! Any order of publishing, blocking, joining, leaving and trimming, against what a log and a cursor promise.

mod compressed;
mod lagging;

use std::{
    cell::RefCell,
    collections::BTreeSet,
    io::{ErrorKind, Read},
    rc::Rc,
    time::Duration,
};

use flate2::read::{GzDecoder, MultiGzDecoder};

use prometheus::IntGauge;
use proptest::prelude::*;
use ssefleet_crds::compression::{Compression, CompressionMode};
use ssefleet_tests::sse::parser::Parser;

use super::*;
use crate::{
    broker::Extent,
    encode::{Body, Coding, Encoder, Framing},
    event::{Event, NewEvent},
    fanout::{
        lapse::Lapse,
        page::{Found, Page},
        ring::Limits,
        topics::Topics,
    },
};

/// A socket that takes so much and no more.
#[derive(Clone, Default)]
struct Pipe(Rc<RefCell<Taken>>);

#[derive(Default)]
struct Taken {
    room: usize,
    bytes: Vec<u8>,
    writes: usize,
    broken: bool,
}

impl Sink for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.write_vectored(&[std::io::IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        let mut taken = self.0.borrow_mut();
        if taken.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        taken.writes += 1;
        let mut count = 0;
        for part in parts {
            let length = part.len().min(taken.room);
            taken.bytes.extend_from_slice(&part[..length]);
            taken.room -= length;
            count += length;
        }
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn end(&mut self, last: &[u8]) {
        let _ = self.write(last);
    }
}

/// A broker's log, a ring, and the audience under test.
struct World {
    log: Vec<Event>,
    /// How many of the oldest the log has let go of.
    trimmed: usize,
    epoch: u64,
    ring: Arc<RwLock<Ring>>,
    encoder: Encoder,
    audience: Audience<Pipe>,
    readers: Vec<Reader>,
    now: Tick,
}

struct Reader {
    key: Key,
    pipe: Pipe,
    topics: Topics,
    cursor: Position,
    /// Its token is about to end from the beginning on.
    lapses: bool,
}

fn timing(slow: SlowConsumer) -> Timing {
    Timing { heartbeat: 150, stale_after: 3000, max_age: 36_000, max_lag: 600, slow }
}

impl World {
    fn new(slow: SlowConsumer) -> Self {
        let ring = Ring::new(Position::new(1, 0), Limits { events: 4, bytes: usize::MAX, age: u32::MAX });
        let ring = Arc::new(RwLock::new(ring));
        let metrics = Metrics::new().unwrap();
        let encoder = Encoder::new(&Compression { mode: CompressionMode::Transport, threshold_bytes: 1 }, &metrics);
        let audience = Audience::new(ring.clone(), metrics, timing(slow), Tick(0));
        Self { log: vec![], trimmed: 0, epoch: 1, ring, encoder, audience, readers: vec![], now: Tick(0) }
    }

    fn head(&self) -> Position {
        Position::new(self.epoch, self.log.len() as u64)
    }

    fn publish(&mut self, topic: &str) {
        let position = self.head().next();
        let new = NewEvent { topic: topic.into(), event: None, data: format!("{}", position.seq), ttl: None };
        let event = Event { position, at: 0, new };
        self.ring.write().push(&event, self.encoder.event(&event), self.now);
        self.log.push(event);
    }

    /// The log is lost, and begins anew.
    fn lose(&mut self) {
        self.epoch += 1;
        self.log.clear();
        self.trimmed = 0;
        self.ring.write().restart(self.head());
    }

    fn join(&mut self, names: &[&str], cursor: Position, room: usize) -> usize {
        let (pipe, topics) = (Pipe::default(), Topics::of(names).unwrap());
        pipe.0.borrow_mut().room = room;
        let coding = if self.readers.len() % 2 == 1 { Coding::Gzip } else { Coding::Identity };
        let (mut body, mut greeting) = (Body::new(Framing::Plain, coding), Vec::new());
        body.begin(&[encode::greeting(Duration::from_secs(3), cursor)], &mut greeting);
        let place = Place::take(&IntGauge::new("a", "b").unwrap(), 1).unwrap();
        let newcomer = Newcomer {
            id: self.readers.len() as u64 + 1,
            sink: pipe.clone(),
            peer: None,
            topics: topics.clone(),
            body,
            cursor,
            greeting: greeting.into(),
            retry: Duration::from_secs(3),
            place,
            tie: None,
        };
        let key = self.audience.join(newcomer, self.now);
        self.readers.push(Reader { key, pipe, topics, cursor, lapses: false });
        self.readers.len() - 1
    }

    /// Its token is about to end.
    fn lapse(&mut self, reader: usize) {
        let key = self.readers[reader].key;
        let lapse = Lapse { warns: Some(self.now), closes: Tick(u32::MAX), ends: self.now.after(300) };
        let tie = Tie { lapse: Some(lapse), ..Tie::default() };
        self.audience.get_mut(key).unwrap().tie = Some(Box::new(tie));
        self.audience.look_at(key, self.now.after(1));
        self.readers[reader].lapses = true;
    }

    fn give_room(&mut self, reader: usize, room: usize) {
        let Reader { key, pipe, .. } = &self.readers[reader];
        pipe.0.borrow_mut().room += room;
        self.audience.writable(*key, self.now);
    }

    /// What the shard's loop does, until nothing more happens.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let more = self.audience.dispatch(self.now);
            self.audience.catch_up(self.now);
            let asks: Vec<_> = self.audience.take_asks().collect();
            for (key, need) in &asks {
                let found = match need {
                    Need::Extent => {
                        let first = Position::new(self.epoch, self.trimmed as u64 + 1);
                        Found::Extent(Extent { first, last: self.head() })
                    }
                    Need::Page(start) => {
                        let kept = self.log.iter().skip(self.trimmed).filter(|event| event.position > *start);
                        let entry = |event: &Event| {
                            Entry::new(event, self.encoder.event(event), event.new.topic.as_str().into(), self.now)
                        };
                        Found::Page(Arc::new(Page { entries: kept.take(3).map(entry).collect() }))
                    }
                };
                self.audience.found(*key, found);
            }
            if !more && asks.is_empty() && !self.audience.has_ready() {
                return;
            }
        }
        panic!("it never settles");
    }

    fn received(&self, reader: usize) -> Vec<ssefleet_tests::sse::parser::Event> {
        Parser::new("").feed(self.text(reader).as_bytes())
    }

    /// What has come, as the reader reads it: every second one has asked for gzip.
    fn text(&self, reader: usize) -> String {
        let bytes = self.readers[reader].pipe.0.borrow().bytes.clone();
        if reader.is_multiple_of(2) {
            return String::from_utf8(bytes).unwrap();
        }
        let (mut decoder, mut text, mut piece) = (GzDecoder::new(&*bytes), Vec::new(), [0; 4096]);
        // Up to where it is cut.
        while let Ok(length @ 1..) = decoder.read(&mut piece) {
            text.extend_from_slice(&piece[..length]);
        }
        String::from_utf8(text).unwrap()
    }

    /// Of one reader: every event that it wants came once and in order, or a gap told of it. All in one epoch.
    fn check(&self, reader: usize) -> Result<(), TestCaseError> {
        let Reader { topics, cursor, lapses, .. } = &self.readers[reader];
        let mut accounted = BTreeSet::new();
        let (mut last, mut told) = (cursor.seq, 0);
        for event in self.received(reader) {
            let position: Position = event.id.parse().unwrap();
            if event.event == "gap" {
                let told: serde_json::Value = serde_json::from_str(&event.data).unwrap();
                let missed = told["missed"].as_u64().unwrap();
                prop_assert_eq!(position.seq, last.max(position.seq - missed) + missed, "a gap overlaps");
                accounted.extend(position.seq - missed + 1..=position.seq);
            } else if event.event == "token-expiring" {
                prop_assert!(position.seq >= last, "it goes back");
                told += 1;
            } else {
                prop_assert_eq!(&event.data, &position.seq.to_string());
                prop_assert!(topics.want(&self.log[index(position) - 1].new.topic));
                prop_assert!(position.seq > last, "out of order, or twice");
                prop_assert!(accounted.insert(position.seq), "told as missed, and came");
            }
            last = position.seq;
        }
        prop_assert_eq!(told, usize::from(*lapses), "told as often of the end of its token");
        for event in &self.log[index(*cursor)..] {
            let seq = event.position.seq;
            prop_assert!(accounted.contains(&seq) || !topics.want(&event.new.topic), "{} is lost silently", seq);
        }
        Ok(())
    }
}

fn index(position: Position) -> usize {
    usize::try_from(position.seq).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Publish(u8),
    Join { topics: u8, back: u8, room: u16 },
    Room(u8, u16),
    Leave(u8),
    Break(u8),
    Trim(u8),
    Settle,
    Tick(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<u8>().prop_map(Step::Publish),
        2 => (any::<u8>(), any::<u8>(), 0..400_u16).prop_map(|(topics, back, room)| Step::Join { topics, back, room }),
        3 => (any::<u8>(), 1..300_u16).prop_map(|(reader, room)| Step::Room(reader, room)),
        1 => any::<u8>().prop_map(Step::Leave),
        1 => any::<u8>().prop_map(Step::Break),
        1 => any::<u8>().prop_map(Step::Trim),
        3 => Just(Step::Settle),
        1 => (1..200_u8).prop_map(Step::Tick),
    ]
}

const TOPICS: [&str; 3] = ["a", "ab", "b"];
const WANTED: [&[&str]; 5] = [&[], &["a"], &["a*"], &["a", "a*"], &["b", "c"]];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_repeated_silently(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new(SlowConsumer::Disconnect);
        let mut gone = BTreeSet::new();
        for step in steps {
            let reader = |n: u8, world: &World| (!world.readers.is_empty()).then(|| usize::from(n) % world.readers.len());
            match step {
                Step::Publish(topic) => world.publish(TOPICS[usize::from(topic) % 3]),
                Step::Join { topics, back, room } => {
                    let head = world.head();
                    let cursor = Position { seq: head.seq.saturating_sub(u64::from(back % 12)), ..head };
                    let reader = world.join(WANTED[usize::from(topics) % 5], cursor, room.into());
                    if back % 2 == 0 {
                        world.lapse(reader);
                    }
                }
                Step::Room(n, room) => {
                    if let Some(reader) = reader(n, &world) {
                        world.give_room(reader, room.into());
                    }
                }
                Step::Leave(n) => {
                    if let Some(reader) = reader(n, &world) {
                        world.audience.leave(world.readers[reader].key, Closed::ByClient);
                        gone.insert(reader);
                    }
                }
                Step::Break(n) => {
                    if let Some(reader) = reader(n, &world) {
                        world.readers[reader].pipe.0.borrow_mut().broken = true;
                        gone.insert(reader);
                    }
                }
                Step::Trim(n) => world.trimmed = world.trimmed.max(world.log.len().saturating_sub(usize::from(n % 6))),
                Step::Settle => world.settle(),
                Step::Tick(ticks) => {
                    // Less than a lag that would end a connection.
                    world.now = world.now.after(u32::from(ticks) / 40);
                    world.audience.tick(world.now);
                }
            }
        }
        world.settle();
        for reader in 0..world.readers.len() {
            world.give_room(reader, 1 << 20);
        }
        world.settle();
        for _ in 0..3 {
            world.now = world.now.after(10);
            world.audience.tick(world.now);
            world.settle();
        }
        for reader in (0..world.readers.len()).filter(|reader| !gone.contains(reader)) {
            prop_assert!(world.audience.get(world.readers[reader].key).is_some_and(Subscriber::is_live));
            world.check(reader)?;
        }
        // Each stream ends in order; of a compressed one, length and sum are right.
        world.audience.close_some(usize::MAX, Closed::Drained);
        for reader in (0..world.readers.len()).filter(|reader| !gone.contains(reader)) {
            prop_assert!(world.text(reader).contains("this node is about to stop"));
            if reader % 2 == 1 {
                let bytes = world.readers[reader].pipe.0.borrow().bytes.clone();
                let whole = MultiGzDecoder::new(&*bytes).read_to_end(&mut Vec::new());
                prop_assert!(whole.is_ok(), "{:?}", whole);
            }
        }
    }

    /// Whatever the socket took before the log was lost, a reset is told and all of the new log follows.
    #[test]
    fn a_lost_log_is_told(before in 1..8_u64, room in 0..300_usize, after in 0..8_u64) {
        let mut world = World::new(SlowConsumer::Disconnect);
        let reader = world.join(&[], world.head(), room);
        (0..before).for_each(|_| world.publish("a"));
        world.settle();
        world.lose();
        (0..after).for_each(|_| world.publish("a"));
        world.settle();
        world.give_room(reader, 1 << 20);
        world.settle();
        let received = world.received(reader);
        let reset = received.iter().position(|event| event.event == "reset");
        prop_assert!(reset.is_some(), "{:?}", received);
        let rest: Vec<_> = received[reset.unwrap() + 1..].iter().map(|event| event.data.clone()).collect();
        prop_assert_eq!(rest, (1..=after).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}
