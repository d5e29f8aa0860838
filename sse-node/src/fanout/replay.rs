//! Older events than the ring has, read from the broker in pages that all share who need them: a thousand
//! clients that come back to the same place cost one read. Few pages are read at a time, first come, first
//! served, and what was read lately is kept, within limits.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, mpsc};
use tracing::warn;

use super::{
    clock::Clock,
    index::Key,
    page::{Found, Need, PAGE, Page},
    ring::Entry,
};
use crate::{
    broker::{Broker, BrokerError},
    encode::Encoder,
    event::Position,
    metrics::{Memory, Metrics},
};

/// Pages that are read at a time, so that a storm leaves the broker room for publishers.
const AT_A_TIME: usize = 4;
/// How much is kept of what was read, in bytes of frames.
const KEPT: usize = 16 << 20;

/// Reads for all shards.
pub struct Replay {
    broker: Arc<dyn Broker>,
    encoder: Arc<RwLock<Encoder>>,
    metrics: Metrics,
    clock: Clock,
    asking: mpsc::UnboundedSender<Asked>,
    kept: Mutex<Kept>,
    at_a_time: Semaphore,
}

/// Takes what was found for someone.
pub trait Reply: Send + Sync {
    fn found(&self, key: Key, found: Found);
}

/// Someone who waits.
struct Asked {
    need: Need,
    key: Key,
    reply: Arc<dyn Reply>,
}

/// Full pages, the oldest read first.
#[derive(Default)]
struct Kept {
    pages: VecDeque<(Position, Arc<Page>)>,
    bytes: usize,
}

impl Replay {
    pub fn new(broker: Arc<dyn Broker>, encoder: Arc<RwLock<Encoder>>, metrics: Metrics, clock: Clock) -> Arc<Self> {
        let (asking, asked) = mpsc::unbounded_channel();
        let at_a_time = Semaphore::new(AT_A_TIME);
        let replay = Arc::new(Self { broker, encoder, metrics, clock, asking, kept: Mutex::default(), at_a_time });
        tokio::spawn(run(Arc::downgrade(&replay), asked));
        replay
    }

    /// What lies here already; else it is asked for, and the answer comes later.
    pub fn get(&self, need: Need, key: Key, reply: Arc<dyn Reply>) -> Option<Found> {
        if let Need::Page(start) = need
            && let Some((_, page)) = self.kept.lock().pages.iter().find(|(kept, _)| *kept == start)
        {
            self.metrics.replayed(Memory::Page, 1);
            return Some(Found::Page(page.clone()));
        }
        self.metrics.replay_misses.inc();
        // Nobody reads only when the node is over.
        self.asking.send(Asked { need, key, reply }).err().map(|_| Found::Away)
    }

    /// Forgets the frames of its pages; they are read anew.
    pub fn forget(&self) {
        *self.kept.lock() = Kept::default();
    }

    async fn find(&self, need: Need) -> Found {
        // Never closed.
        let _turn = self.at_a_time.acquire().await;
        let found = match need {
            Need::Page(start) => self.page(start).await,
            Need::Extent => self.broker.open().await.map(Found::Extent),
        };
        found.unwrap_or_else(|error| {
            warn!(%error, "subscribers wait for older events");
            Found::Away
        })
    }

    async fn page(&self, start: Position) -> Result<Found, BrokerError> {
        #[expect(clippy::cast_possible_truncation, reason = "256")]
        let events = self.broker.read_after(start, PAGE as usize).await?;
        self.metrics.replays.inc();
        if events.last().is_some_and(|event| event.position.epoch != start.epoch) {
            return self.broker.open().await.map(Found::Extent);
        }
        let now = self.clock.now();
        // Held until the page is kept, so that none that is encoded as before a change is kept after it.
        let encoder = self.encoder.read();
        let mut topics: HashMap<&str, Arc<str>> = HashMap::new();
        let mut entry = |event| {
            let event: &crate::event::Event = event;
            let topic = topics.entry(&event.new.topic).or_insert_with(|| event.new.topic.as_str().into());
            Entry::new(event, encoder.event(event), topic.clone(), now)
        };
        let page = Arc::new(Page { entries: events.iter().map(&mut entry).collect() });
        // One that is not full may lack what has come since.
        if page.entries.len() as u64 == PAGE {
            self.kept.lock().keep(start, &page);
        }
        Ok(Found::Page(page))
    }
}

impl Kept {
    fn keep(&mut self, start: Position, page: &Arc<Page>) {
        let size = |page: &Page| page.entries.iter().map(|entry| entry.frame.size()).sum::<usize>();
        self.bytes += size(page);
        self.pages.push_back((start, page.clone()));
        while self.bytes > KEPT {
            let Some((_, oldest)) = self.pages.pop_front() else { return };
            self.bytes -= size(&oldest);
        }
    }
}

/// Answers those who ask: all who need the same, at once.
async fn run(replay: std::sync::Weak<Replay>, mut asked: mpsc::UnboundedReceiver<Asked>) {
    let mut waiting: HashMap<Need, Vec<Asked>> = HashMap::new();
    let mut reads = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Some(ask) = asked.recv() => {
                let Some(replay) = replay.upgrade() else { return };
                let need = ask.need;
                let others = waiting.entry(need).or_default();
                if others.is_empty() {
                    reads.spawn(async move { (need, replay.find(need).await) });
                }
                others.push(ask);
            }
            Some(Ok((need, found))) = reads.join_next() => {
                for Asked { key, reply, .. } in waiting.remove(&need).unwrap_or_default() {
                    reply.found(key, found.clone());
                }
            }
            else => return,
        }
    }
}
