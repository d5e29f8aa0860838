//! The keys at one URL, kept fresh by a task of its own, for one `jwt` block: no other block's tokens are ever
//! verified with them, whatever kid they name.
//!
//! Fetched every few minutes, as the server's `Cache-Control` says within bounds. A kid that is not known asks for one
//! fetch more, of which there is one every [`EXTRA`] at most, whoever asks and however many: all wait for the same one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use hyper::Uri;
use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{fetch, jwk, keys::Key};
use crate::metrics::Metrics;

/// How often keys are fetched, if the server does not say; what it says counts from the first to the last of these.
const REFRESH: Duration = Duration::from_mins(5);
const REFRESH_WITHIN: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(15));
/// How often it is tried when the server does not answer as it should: from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));
/// How often at most a kid that is not known leads to a fetch.
pub const EXTRA: Duration = Duration::from_secs(30);
/// How long keys are good when their server does not answer.
const STALE: Duration = Duration::from_hours(24);

/// Where keys are.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub url: String,
    /// A PEM file.
    pub authority: Option<PathBuf>,
    pub pinned: Vec<Algorithm>,
}

/// The keys at a URL. Their task ends with it.
pub struct KeySet {
    pub source: Source,
    known: watch::Receiver<Known>,
    turn: Arc<Turn>,
    task: AbortHandle,
}

/// What is known of them.
#[derive(Clone, Default)]
pub struct Known {
    pub keys: Arc<[Key]>,
    /// How often they were fetched, or could not be.
    attempts: u64,
}

/// Whose turn it is to fetch.
#[derive(Default)]
struct Turn {
    state: Mutex<State>,
    wanted: Notify,
}

#[derive(Default)]
struct State {
    /// A fetch is under way, or about to be.
    pending: bool,
    last_extra: Option<Instant>,
}

impl Turn {
    /// Whether there is something to wait for.
    fn ask(&self) -> bool {
        let mut state = self.state.lock();
        if !state.pending && state.last_extra.is_none_or(|last| last.elapsed() >= EXTRA) {
            state.last_extra = Some(Instant::now());
            state.pending = true;
            self.wanted.notify_one();
        }
        state.pending
    }
}

impl KeySet {
    /// Begins to fetch. `changed` is told whenever the keys are others than before.
    pub fn start(source: Source, metrics: Metrics, changed: Arc<Notify>) -> Self {
        let (tell, known) = watch::channel(Known::default());
        let turn = Arc::new(Turn::default());
        turn.state.lock().pending = true;
        let keeper =
            Keeper { source: source.clone(), tell, turn: turn.clone(), metrics, changed, fetched: None, failures: 0 };
        let task = tokio::spawn(keeper.run()).abort_handle();
        Self { source, known, turn, task }
    }

    pub fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Waits for a fetch that began after `seen` was all there was, if there is to be one.
    pub async fn after(&self, seen: &Known) {
        if seen.attempts < self.known.borrow().attempts || !self.turn.ask() {
            return;
        }
        let mut known = self.known.clone();
        let _ = timeout(fetch::PATIENCE, known.wait_for(|known| known.attempts > seen.attempts)).await;
    }
}

impl Drop for KeySet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// However it ends.
impl Drop for Keeper {
    fn drop(&mut self) {
        if self.failures > 0 {
            self.metrics.jwks_stale.dec();
        }
    }
}

/// The task.
struct Keeper {
    source: Source,
    tell: watch::Sender<Known>,
    turn: Arc<Turn>,
    metrics: Metrics,
    changed: Arc<Notify>,
    /// When they were, last.
    fetched: Option<Instant>,
    /// Since then.
    failures: u32,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let wait = match self.fetch().await {
                Ok((keys, wait)) => {
                    if self.failures > 0 {
                        self.metrics.jwks_stale.dec();
                        info!(url = self.source.url, "the key set is there again");
                    }
                    (self.fetched, self.failures) = (Some(Instant::now()), 0);
                    self.metrics.jwks_fetches.with_label_values(&["ok"]).inc();
                    self.publish(Some(keys));
                    wait
                }
                Err(error) => {
                    self.failures += 1;
                    self.metrics.jwks_fetches.with_label_values(&["failed"]).inc();
                    if self.failures == 1 {
                        self.metrics.jwks_stale.inc();
                        warn!(
                            url = self.source.url,
                            error, "the key set can't be fetched; the keys that are known hold for a day"
                        );
                    }
                    let stale = self.fetched.is_none_or(|fetched| fetched.elapsed() >= STALE);
                    self.publish(stale.then(|| [].into()));
                    RETRY.1.min(RETRY.0 * 2_u32.pow(self.failures.min(6) - 1))
                }
            };
            let wait = wait.mul_f64(0.9 + fastrand::f64() * 0.2);
            tokio::select! {
                () = sleep(wait) => self.turn.state.lock().pending = true,
                () = self.turn.wanted.notified() => {}
            }
        }
    }

    async fn fetch(&self) -> Result<(Arc<[Key]>, Duration), String> {
        let url: Uri = self.source.url.parse().map_err(|_| "the URL can't be read".to_owned())?;
        let document = fetch::get(&url, self.source.authority.as_ref()).await.map_err(|error| error.to_string())?;
        let keys = jwk::read(&document.body, &self.source.pinned).map_err(|error| error.to_string())?;
        let (least, most) = REFRESH_WITHIN;
        Ok((keys.into(), document.max_age.map_or(REFRESH, |age| age.clamp(least, most))))
    }

    /// None: as they were.
    fn publish(&self, keys: Option<Arc<[Key]>>) {
        let mut changed = false;
        // With the turn, so that who finds nothing under way has seen all that was.
        let mut state = self.turn.state.lock();
        self.tell.send_modify(|known| {
            known.attempts += 1;
            if let Some(keys) = keys {
                let same = |a: &Key, b: &Key| a.fingerprint == b.fingerprint && a.kid == b.kid;
                changed = keys.len() != known.keys.len() || !keys.iter().zip(&*known.keys).all(|(a, b)| same(a, b));
                known.keys = keys;
            }
        });
        state.pending = false;
        drop(state);
        if changed {
            self.changed.notify_one();
        }
    }
}
