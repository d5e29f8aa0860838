//! A publisher that knows what was acknowledged. Each request in flight has a connection of its own.
//!
//! [`options`] is the command line, [`target`] the ways to publish. Here is the pace, the numbers and the sums.

pub mod options;
mod target;

use std::{
    cell::RefCell,
    collections::BTreeSet,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{sync::Notify, task::LocalSet, time::sleep_until};

use self::{
    options::Options,
    target::{Answer, Target},
};
use crate::{histogram::Histogram, payload, swarm::report::quantiles};

/// A subscriber's window is 128 events: none may be further ahead of one without an answer.
const AHEAD: u64 = 100;

/// What the connections share.
struct Shared {
    options: Options,
    started: Instant,
    /// Distinguishes this run's idempotency keys.
    run: u64,
    state: RefCell<State>,
    answered: Notify,
}

#[derive(Default)]
struct State {
    given: u64,
    outstanding: BTreeSet<u64>,
    acknowledged: u64,
    refused: u64,
    latency: Histogram,
    first_answer: Option<(u64, Vec<u8>)>,
    last_answer: Option<(u64, Vec<u8>)>,
    /// The last reason why an event was not acknowledged.
    reason: Option<String>,
}

/// Publishes, and says how it went; true if every event was acknowledged.
pub async fn run(options: Options) -> io::Result<(Value, bool)> {
    let in_flight = options.in_flight;
    let shared = Rc::new(Shared {
        options,
        started: Instant::now(),
        run: payload::now(),
        state: RefCell::default(),
        answered: Notify::new(),
    });
    let local = LocalSet::new();
    for _ in 0..in_flight {
        local.spawn_local(publish(Rc::clone(&shared)));
    }
    local.await;
    let state = shared.state.take();
    let elapsed = shared.started.elapsed();
    let id = |answer: &Option<(u64, Vec<u8>)>| answer.as_ref().map(|(_, body)| id(body));
    let good = state.acknowledged == state.given;
    let result = json!({
        "events": state.given,
        "acknowledged": state.acknowledged,
        "refused": state.refused,
        "reason": state.reason,
        "first_id": id(&state.first_answer),
        "last_id": id(&state.last_answer),
        "seconds": elapsed.as_secs_f64(),
        "events_per_second": rate(state.acknowledged, elapsed),
        "acknowledged_ms": quantiles(&state.latency),
    });
    Ok((result, good))
}

#[allow(clippy::cast_precision_loss)] // events are few for a float
fn rate(events: u64, elapsed: Duration) -> f64 {
    events as f64 / elapsed.as_secs_f64()
}

/// The first of the ids in an answer, if that is what it has.
fn id(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    Some(answer.get("ids")?.get(0)?.as_str()?.to_owned())
}

/// One connection: event after event.
async fn publish(shared: Rc<Shared>) {
    let options = &shared.options;
    let mut target = Target::new(options);
    while let Some(k) = shared.next().await {
        let (topic, n) = match k.checked_rem(options.topics) {
            Some(topic) => (Some(topic), options.first + k / options.topics),
            None => (None, options.first + k),
        };
        let key = options.retry.then(|| format!("{}-{k}", shared.run));
        let begun = payload::now();
        let data = if options.orders { payload::orders } else { payload::encode };
        let data = data(n, begun, options.size);
        let mut pause = Duration::from_millis(20);
        loop {
            let answer = target.publish(topic, key.as_deref(), &data).await;
            let acknowledged = matches!(answer, Answer::Acknowledged(_));
            shared.count(k, begun, answer);
            if acknowledged || !options.retry || shared.late() {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
        shared.state.borrow_mut().outstanding.remove(&k);
        shared.answered.notify_waiters();
    }
}

impl Shared {
    fn late(&self) -> bool {
        self.options.seconds.is_some_and(|seconds| self.started.elapsed() >= Duration::from_secs(seconds))
    }

    /// The next event's count from 0, when its time has come.
    async fn next(&self) -> Option<u64> {
        loop {
            let answered = self.answered.notified();
            if self.state.borrow().given >= self.options.events || self.late() {
                return None;
            }
            if let Some(k) = self.give() {
                if !self.options.as_fast_as_possible {
                    let seconds = Duration::from_secs(k.min(u64::from(u32::MAX)));
                    sleep_until((self.started + seconds.div_f64(self.options.rate)).into()).await;
                }
                return Some(k);
            }
            answered.await;
        }
    }

    /// None if one without an answer is too far behind.
    fn give(&self) -> Option<u64> {
        let mut state = self.state.borrow_mut();
        let k = state.given;
        let ahead = AHEAD.max(self.options.in_flight.into());
        if state.outstanding.first().is_some_and(|oldest| k - oldest >= ahead) {
            return None;
        }
        state.given += 1;
        state.outstanding.insert(k);
        Some(k)
    }

    fn count(&self, k: u64, begun: u64, answer: Answer) {
        let mut state = self.state.borrow_mut();
        match answer {
            Answer::Acknowledged(body) => {
                state.acknowledged += 1;
                state.latency.record(payload::now() - begun);
                if k == 0 {
                    state.first_answer = Some((k, body.clone()));
                }
                if state.last_answer.as_ref().is_none_or(|(last, _)| *last < k) {
                    state.last_answer = Some((k, body));
                }
            }
            Answer::Refused(reason) => {
                state.refused += 1;
                state.reason = Some(reason);
            }
        }
    }
}
