//! How the broker does, as `/stats` tells it: whether it can be read, and whether the last publications were taken.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use ssefleet_crds::part::Part;

use super::BrokerError;

/// How long a publication that failed says that the broker fails, if none succeeds since.
const WRITTEN: Duration = Duration::from_mins(1);

/// How the broker does.
#[derive(Default)]
pub struct Health(Mutex<State>);

#[derive(Default)]
struct State {
    /// It was read from; before, it connects.
    opened: bool,
    reading: Option<Failure>,
    writing: Option<Failure>,
    since: Option<jiff::Timestamp>,
}

struct Failure {
    part: Part,
    message: String,
    since: jiff::Timestamp,
    last: Instant,
}

impl Health {
    /// What came of reading.
    pub fn read(&self, result: Result<(), &BrokerError>) {
        let mut state = self.0.lock();
        let was_well = state.opened && state.reading.is_none();
        state.opened |= result.is_ok();
        note(&mut state.reading, result);
        if state.reading.is_none() && !was_well {
            state.since = Some(jiff::Timestamp::now());
        }
    }

    /// What came of a publication.
    pub fn wrote(&self, result: Result<(), &BrokerError>) {
        let mut state = self.0.lock();
        if state.writing.is_some() && result.is_ok() {
            state.since = Some(jiff::Timestamp::now());
        }
        note(&mut state.writing, result);
    }

    /// Why it can't be read, if so.
    pub fn why_not_read(&self) -> Option<String> {
        self.0.lock().reading.as_ref().map(|failure| failure.message.clone())
    }

    /// For `/stats`.
    pub fn report(&self) -> Value {
        let state = self.0.lock();
        let writing = state.writing.as_ref().filter(|failure| failure.last.elapsed() < WRITTEN);
        // What fails to be written says more than what is merely slow to be read again.
        let (name, failure, since) = match writing.or(state.reading.as_ref()) {
            Some(failure) => ("Failing", Some(failure), Some(failure.since)),
            None => (if state.opened { "Ready" } else { "Connecting" }, None, state.since),
        };
        json!({
            "state": name,
            "part": failure.map(|failure| failure.part),
            "message": failure.map(|failure| failure.message.clone()),
            "since": since.map(|since| since.to_string()),
        })
    }
}

fn note(failure: &mut Option<Failure>, result: Result<(), &BrokerError>) {
    let Err(error) = result else {
        *failure = None;
        return;
    };
    let (part, message) = (error.part(), error.to_string());
    let since = failure.take().filter(|before| before.part == part).map_or_else(jiff::Timestamp::now, |f| f.since);
    *failure = Some(Failure { part, message, since, last: Instant::now() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(health: &Health) -> (String, Option<String>) {
        let report = health.report();
        (report["state"].as_str().unwrap().into(), report["part"].as_str().map(Into::into))
    }

    #[test]
    fn it_is_well_when_it_is_read_and_takes_what_is_published() {
        let health = Health::default();
        assert_eq!(told(&health), ("Connecting".into(), None));
        health.read(Err(&BrokerError::Unready(super::super::Trouble::new(Part::Dns, "no address"))));
        assert_eq!(told(&health), ("Failing".into(), Some("Dns".into())));
        assert!(health.why_not_read().unwrap().contains("no address"));
        health.read(Ok(()));
        assert_eq!(told(&health), ("Ready".into(), None));
        health.wrote(Err(&BrokerError::Full));
        health.read(Ok(()));
        assert_eq!(told(&health), ("Failing".into(), Some("Memory".into())));
        health.wrote(Ok(()));
        assert_eq!(told(&health), ("Ready".into(), None));
    }
}
