//! The questions, in the order of the table. Each opens connections of its own; none depends on another's answer.

mod answer;
mod cors;
mod events;
mod methods;
mod resume;
mod timing;

use std::time::Duration;

use crate::{
    publisher::{Publisher, Refused},
    report::{Finding, Verdict},
    subscription::{Missing, Subscription},
    target::{Fields, Target, Trouble},
};

/// What is asked, and by what means.
pub struct Probe {
    pub target: Target,
    pub publisher: Option<Publisher>,
    /// A page that may read the stream.
    pub origin: Option<String>,
    /// The parameter that takes a last event id.
    pub id_parameter: String,
    /// The longest silence.
    pub heartbeat: Duration,
    /// What the data of this run begin with.
    pub run: String,
}

/// Why a check did not pass.
pub enum Otherwise {
    Fail(String),
    NotTested(&'static str),
}

/// What a check saw, when it passed.
type Outcome = Result<String, Otherwise>;

macro_rules! table {
    ($probe:expr; $($id:literal $question:literal $check:path)*) => {
        vec![$(finding($id, $question, $check($probe).await)),*]
    };
}

/// Asks everything; an error where there is nothing to ask.
pub async fn run(probe: &Probe) -> Result<Vec<Finding>, Missing> {
    probe.open(&[]).await?;
    Ok(table! { probe;
        "status" "200, `text/event-stream`, and it begins at once" answer::status
        "caches" "the head keeps caches away" answer::caches
        "http10" "an HTTP/1.0 client gets a stream that it can read" answer::http10
        "head" "HEAD is answered like GET, without a body" methods::head
        "options" "OPTIONS is answered" methods::options
        "method" "an unknown method is refused" methods::unknown
        "messages" "two data messages arrive, in order" events::messages
        "named" "an event's name arrives" events::named
        "framing" "lines, UTF-8, and nothing but fields of the standard" events::framing
        "large" "an event of 100 KiB arrives whole" events::large
        "ids" "every event has an id of its own" events::ids
        "resume" "`Last-Event-ID`: nothing lost, nothing twice" resume::by_header
        "resume-query" "a last event id in the URL, the same" resume::by_query
        "unknown-id" "an id that was never given still gets a stream" resume::unknown
        "retry" "`retry:` is sent" timing::retry
        "heartbeat" "silence is broken by heartbeats" timing::heartbeat
        "spacing" "events 100 ms apart arrive apart" timing::spacing
        "gzip" "with `Accept-Encoding: gzip`, events arrive by themselves" timing::gzip
        "cors" "CORS: a listed origin may read" cors::listed
        "cors-unlisted" "CORS: an unlisted origin is not reflected" cors::unlisted
        "cors-preflight" "CORS: the preflight of a listed origin" cors::preflight
    })
}

fn finding(id: &'static str, question: &'static str, outcome: Outcome) -> Finding {
    let (verdict, detail) = match outcome {
        Ok(detail) => (Verdict::Pass, detail),
        Err(Otherwise::Fail(why)) => (Verdict::Fail, why),
        Err(Otherwise::NotTested(why)) => (Verdict::NotTested, why.into()),
    };
    Finding { id, question, verdict, detail }
}

impl Probe {
    async fn open(&self, fields: Fields<'_>) -> Result<Subscription, Missing> {
        Subscription::open(&self.target, &self.run, None, fields).await
    }

    fn publisher(&self) -> Result<&Publisher, Otherwise> {
        self.publisher.as_ref().ok_or(Otherwise::NotTested("needs --publish"))
    }

    /// Publishes data that no other event has; returns them.
    async fn publish<const N: usize>(&self, names: [&str; N]) -> Result<[String; N], Otherwise> {
        let data = names.map(|name| format!("{} {name}", self.run));
        for data in &data {
            self.publisher()?.publish(None, data).await?;
        }
        Ok(data)
    }
}

fn fail<T>(why: impl Into<String>) -> Result<T, Otherwise> {
    Err(Otherwise::Fail(why.into()))
}

impl From<Missing> for Otherwise {
    fn from(missing: Missing) -> Self {
        Self::Fail(missing.to_string())
    }
}

impl From<Trouble> for Otherwise {
    fn from(trouble: Trouble) -> Self {
        Self::Fail(trouble.to_string())
    }
}

impl From<Refused> for Otherwise {
    fn from(refused: Refused) -> Self {
        Self::Fail(refused.to_string())
    }
}

impl From<String> for Otherwise {
    fn from(why: String) -> Self {
        Self::Fail(why)
    }
}
