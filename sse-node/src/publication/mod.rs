//! What a publisher may send, as bytes in and checked events out: one JSON event, an array of them, NDJSON,
//! a CloudEvent or a batch of them, or a raw body with `?topic=&event=&ttl=`.
//!
//! [`Head::read`] looks at what is known before the body; [`Head::events`] reads a whole body, of which
//! either all events are good or none is taken; [`Head::line`] reads NDJSON as it comes.

mod check;
mod cloudevents;
mod json;
mod once;
#[cfg(test)]
mod tests;

use std::time::Duration;

use hyper::HeaderMap;
use ssefleet_crds::units;

use self::check::check;
pub use self::{
    check::{MAX_NAME, check_topic},
    once::{BadKey, Key},
};
use crate::{event::NewEvent, http::respond::header};

/// The topic of an event that names none.
pub const DEFAULT_TOPIC: &str = "default";

/// The most events that are stored all or none: as many as a log keeps by default. An event of eleven bytes takes a
/// hundred in memory, and Redis does nothing else while it stores them.
pub const MAX_EVENTS: usize = 10_000;

/// Why a publication was refused. Each is a sentence for the publisher.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the body is not UTF-8: an event stream can carry nothing else; encode binary data, for example as base64")]
    NotUtf8,
    #[error("{at}: {why}")]
    BadEvent { at: Place, why: String },
    #[error("{at}: data of {size} bytes is more than history.maxEventBytes, {limit}")]
    TooLarge { at: Place, size: usize, limit: usize },
    #[error(
        "there are more than {MAX_EVENTS} events: send fewer at once, or NDJSON without Idempotency-Key, which may be of any length"
    )]
    TooMany,
    #[error("no event in the body: send one JSON object, an array, or one object a line")]
    Nothing,
}

/// Which event of a request is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Event,
    Item(usize),
    Line(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Event => f.write_str("event"),
            Self::Item(n) => write!(f, "event {n} of the array"),
            Self::Line(n) => write!(f, "line {n}"),
        }
    }
}

/// The events of a request, and the key that they bring themselves.
#[derive(Debug, PartialEq, Eq)]
pub struct Publication {
    pub events: Vec<NewEvent>,
    pub key: Option<Key>,
}

impl From<Vec<NewEvent>> for Publication {
    fn from(events: Vec<NewEvent>) -> Self {
        Self { events, key: None }
    }
}

/// What is known of a request before its body.
pub struct Head<'a> {
    form: Form,
    headers: &'a HeaderMap,
    topic: Option<String>,
    event: Option<String>,
    ttl: Option<Duration>,
    max_event_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Lines,
    Raw,
    /// JSON if it looks like it.
    Unsaid,
    CloudEvent(cloudevents::Mode),
}

impl<'a> Head<'a> {
    pub fn read(headers: &'a HeaderMap, query: Option<&str>, max_event_bytes: usize) -> Result<Self, Refused> {
        let (mut topic, mut event, mut time) = (None, None, None);
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "topic" => topic = Some(value.into_owned()),
                "event" => event = Some(value.into_owned()),
                "ttl" => time = Some(value),
                _ => {}
            }
        }
        let named = topic.is_some() || event.is_some() || time.is_some();
        let form = form(headers, named)?;
        Ok(Self { form, headers, topic, event, ttl: ttl(Place::Event, time.as_deref())?, max_event_bytes })
    }

    /// Whether the body is NDJSON, which can be read as it comes.
    pub fn is_lines(&self) -> bool {
        self.form == Form::Lines
    }

    /// The largest line of NDJSON, and what one event may take of any body. JSON may spell a byte in six.
    pub fn longest(&self) -> usize {
        6 * self.max_event_bytes + 4096
    }

    /// The event of a line of NDJSON; none if it is blank.
    pub fn line(&self, number: usize, line: &[u8]) -> Result<Option<NewEvent>, Refused> {
        let at = Place::Line(number);
        let not_utf8 = |_| Refused::BadEvent { at, why: Refused::NotUtf8.to_string() };
        let line = std::str::from_utf8(line).map_err(not_utf8)?;
        if line.trim().is_empty() {
            return Ok(None);
        }
        self.check(at, json::event(at, line)?).map(Some)
    }

    /// The events of a whole body.
    pub fn events(&self, body: &[u8]) -> Result<Publication, Refused> {
        if let Form::CloudEvent(mode) = self.form {
            return cloudevents::read(self, mode, body);
        }
        let text = std::str::from_utf8(body).map_err(|_| Refused::NotUtf8)?;
        let events = match self.form {
            Form::Lines => {
                let lines = text.lines().enumerate().map(|(i, line)| self.line(i + 1, line.as_bytes()));
                lines.filter_map(Result::transpose).take(MAX_EVENTS + 1).collect::<Result<_, _>>()?
            }
            Form::Raw => vec![self.raw(text)?],
            Form::Unsaid if !text.trim_start().starts_with(['{', '[']) => vec![self.raw(text)?],
            _ if text.trim_start().starts_with('[') => {
                let events = json::items(text)?.map(|(at, item)| self.check(at, json::event(at, item)?));
                events.take(MAX_EVENTS + 1).collect::<Result<_, _>>()?
            }
            _ if text.trim().is_empty() => vec![],
            _ => vec![self.check(Place::Event, json::event(Place::Event, text)?)?],
        };
        some(events).map(Publication::from)
    }

    fn raw(&self, text: &str) -> Result<NewEvent, Refused> {
        let topic = self.topic.clone().unwrap_or_else(|| DEFAULT_TOPIC.into());
        self.check(Place::Event, NewEvent { topic, event: self.event.clone(), data: text.into(), ttl: self.ttl })
    }

    fn check(&self, at: Place, new: NewEvent) -> Result<NewEvent, Refused> {
        check(at, new, self.max_event_bytes)
    }
}

/// The media type decides. `curl -d` says `application/x-www-form-urlencoded` whatever it sends, and some
/// clients say nothing: those are JSON if they look like it and nothing is named in the query.
fn form(headers: &HeaderMap, named: bool) -> Result<Form, Refused> {
    if let Some(mode) = cloudevents::Mode::of(headers)? {
        return Ok(Form::CloudEvent(mode));
    }
    Ok(match media_type(headers).as_str() {
        "application/x-ndjson" | "application/jsonl" | "application/ndjson" => Form::Lines,
        "application/json" => Form::Json,
        "" | "application/x-www-form-urlencoded" if !named => Form::Unsaid,
        _ => Form::Raw,
    })
}

/// In lower case, without parameters; empty if there is none.
fn media_type(headers: &HeaderMap) -> String {
    let content_type = header(headers, "content-type").unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn some(events: Vec<NewEvent>) -> Result<Vec<NewEvent>, Refused> {
    match events.len() {
        0 => Err(Refused::Nothing),
        1..=MAX_EVENTS => Ok(events),
        _ => Err(Refused::TooMany),
    }
}

fn ttl(at: Place, text: Option<&str>) -> Result<Option<Duration>, Refused> {
    let Some(text) = text else { return Ok(None) };
    let long_enough = units::duration(text).filter(|ttl| ttl.as_millis() > 0);
    let why = || format!("ttl must be a Go duration of at least 1ms, for example 500ms, 30s or 1m30s; it is {text:?}");
    long_enough.map(Some).ok_or_else(|| Refused::BadEvent { at, why: why() })
}
