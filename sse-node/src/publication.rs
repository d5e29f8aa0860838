//! What a publisher may send, as bytes in and checked events out: one JSON event, an array of them, NDJSON,
//! or a raw body with `?topic=&event=`. Either all of a request's events are good, or none is taken.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::NewEvent;

/// The longest topic and event name, in bytes.
pub const MAX_NAME: usize = 256;
/// The topic of an event that names none.
pub const DEFAULT_TOPIC: &str = "default";

/// Why a publication was refused. Each is a sentence for the publisher.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the body is not UTF-8: an event stream can carry nothing else; encode binary data, for example as base64")]
    NotUtf8,
    #[error("{at}: {why}")]
    BadEvent { at: Place, why: String },
    #[error("{at}: data of {size} bytes is more than history.maxEventBytes, {limit}")]
    TooLarge { at: Place, size: usize, limit: usize },
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

/// One event as JSON. A field that is not known is refused, so that a typing error is not an event lost.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"topic\":\"a\",\"event\":\"trade\",\"data\":\"hello\"}")]
struct Json {
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    event: Option<String>,
    /// As it was written: reading it as numbers and maps could change it.
    data: Box<RawValue>,
}

/// The events of one request.
pub fn read(
    content_type: Option<&str>,
    query: Option<&str>,
    body: &[u8],
    max_event_bytes: usize,
) -> Result<Vec<NewEvent>, Refused> {
    let text = std::str::from_utf8(body).map_err(|_| Refused::NotUtf8)?;
    let (mut topic, mut event) = (None, None);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "topic" => topic = Some(value.into_owned()),
            "event" => event = Some(value.into_owned()),
            _ => {}
        }
    }
    let check = |at, new| check(at, new, max_event_bytes);
    let named = topic.is_some() || event.is_some();
    match form(content_type, named, text) {
        Form::Raw => Ok(vec![check(
            Place::Event,
            NewEvent { topic: topic.unwrap_or_else(|| DEFAULT_TOPIC.into()), event, data: text.into(), ttl: None },
        )?]),
        Form::Lines => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let events = lines.map(|(i, line)| check(Place::Line(i + 1), one(Place::Line(i + 1), line)?));
            some(events.collect::<Result<_, _>>()?)
        }
        Form::Json if text.trim_start().starts_with('[') => {
            let bad = |why: serde_json::Error| Refused::BadEvent { at: Place::Event, why: why.to_string() };
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(bad)?;
            let items = items.into_iter().enumerate().map(|(i, item)| (Place::Item(i + 1), item));
            let events = items.map(|(at, item)| check(at, one(at, item.get())?));
            some(events.collect::<Result<_, _>>()?)
        }
        Form::Json if text.trim().is_empty() => Err(Refused::Nothing),
        Form::Json => Ok(vec![check(Place::Event, one(Place::Event, text)?)?]),
    }
}

enum Form {
    Json,
    Lines,
    Raw,
}

/// The media type decides. `curl -d` says `application/x-www-form-urlencoded` whatever it sends, and some
/// clients say nothing: those are JSON if they look like it and no topic is named in the query.
fn form(content_type: Option<&str>, named: bool, text: &str) -> Form {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "application/x-ndjson" | "application/jsonl" | "application/ndjson" => Form::Lines,
        "application/json" => Form::Json,
        "" | "application/x-www-form-urlencoded" if !named && text.trim_start().starts_with(['{', '[']) => Form::Json,
        _ => Form::Raw,
    }
}

fn some(events: Vec<NewEvent>) -> Result<Vec<NewEvent>, Refused> {
    if events.is_empty() { Err(Refused::Nothing) } else { Ok(events) }
}

fn one(at: Place, text: &str) -> Result<NewEvent, Refused> {
    let bad = |e: serde_json::Error| Refused::BadEvent { at, why: e.to_string() };
    let Json { topic, event, data } = serde_json::from_str(text).map_err(bad)?;
    let data = match data.get() {
        string if string.starts_with('"') => serde_json::from_str(string).map_err(bad)?,
        other => other.to_owned(),
    };
    Ok(NewEvent { topic: topic.unwrap_or_else(|| DEFAULT_TOPIC.into()), event, data, ttl: None })
}

/// Nothing that could end a line early may enter a frame, and NUL no parser treats alike.
fn check(at: Place, new: NewEvent, max_event_bytes: usize) -> Result<NewEvent, Refused> {
    let bad = |why: &str| Err(Refused::BadEvent { at, why: why.into() });
    if let Err(why) = check_topic(&new.topic) {
        return bad(why);
    }
    if let Some(event) = &new.event {
        if event.is_empty() || event.len() > MAX_NAME {
            return bad("event must have from 1 to 256 bytes; leave it out for a plain message");
        }
        if event.contains(['\r', '\n', '\0']) {
            return bad("event may not hold CR, LF or NUL");
        }
        if matches!(event.as_str(), "gap" | "reset") {
            return bad("event may not be gap or reset: those are the fleet's own words for lost events");
        }
    }
    if new.data.contains('\0') {
        return bad("data may not hold NUL; encode binary data, for example as base64");
    }
    if new.data.len() > max_event_bytes {
        return Err(Refused::TooLarge { at, size: new.data.len(), limit: max_event_bytes });
    }
    Ok(new)
}

/// A topic is a name that a subscriber can ask for: `*` stands for a prefix there, so it can't be in it.
pub fn check_topic(topic: &str) -> Result<(), &'static str> {
    if topic.is_empty() || topic.len() > MAX_NAME {
        return Err("topic must have from 1 to 256 bytes");
    }
    if topic.contains(|c: char| c.is_control() || c == '*') {
        return Err("topic may not hold control characters or '*'");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JSON: Option<&str> = Some("application/json");
    const LINES: Option<&str> = Some("application/x-ndjson");

    fn new(topic: &str, event: Option<&str>, data: &str) -> NewEvent {
        NewEvent { topic: topic.into(), event: event.map(Into::into), data: data.into(), ttl: None }
    }

    fn told(content_type: Option<&str>, query: Option<&str>, body: &[u8]) -> String {
        read(content_type, query, body, 10).unwrap_err().to_string()
    }

    #[test]
    fn every_form_is_read() {
        let read = |content_type, query, body: &str| read(content_type, query, body.as_bytes(), 1000).unwrap();
        assert_eq!(read(JSON, None, r#"{"data":"hi"}"#), [new("default", None, "hi")]);
        assert_eq!(
            read(JSON, None, r#"{"topic":"a","event":"e","data":{"x":[1]}}"#),
            [new("a", Some("e"), r#"{"x":[1]}"#)]
        );
        assert_eq!(
            read(JSON, None, r#"{"data":{"b": 1.10, "a":12345678901234567890123}}"#),
            [new("default", None, r#"{"b": 1.10, "a":12345678901234567890123}"#)]
        );
        assert_eq!(read(JSON, None, r#"{"data":null}"#), [new("default", None, "null")]);
        assert_eq!(
            read(JSON, None, r#" [{"data":"1"},{"data":2}]"#),
            [new("default", None, "1"), new("default", None, "2")]
        );
        assert_eq!(
            read(LINES, None, "{\"data\":1}\n\n{\"data\":2}\r\n"),
            [new("default", None, "1"), new("default", None, "2")]
        );
        assert_eq!(
            read(Some("text/plain; charset=utf-8"), Some("topic=a%20b&event=e"), "x\ny"),
            [new("a b", Some("e"), "x\ny")]
        );
        assert_eq!(read(Some("text/plain"), None, r#"{"data":1}"#), [new("default", None, r#"{"data":1}"#)]);
        assert_eq!(read(Some("application/x-www-form-urlencoded"), None, r#"{"data":1}"#), [new("default", None, "1")]);
        assert_eq!(
            read(Some("application/x-www-form-urlencoded"), Some("topic=a"), r#"{"x":1}"#),
            [new("a", None, r#"{"x":1}"#)]
        );
        assert_eq!(read(None, None, ""), [new("default", None, "")]);
    }

    #[test]
    fn bad_input_gets_a_sentence() {
        assert!(told(JSON, None, b"{\"data\":1").contains("event: EOF"));
        assert!(told(JSON, None, b"\"hi\"").contains("an object such as"));
        assert!(told(JSON, None, br#"{"data":1,"id":"x"}"#).contains("unknown field `id`"));
        assert!(told(JSON, None, br#"[{"data":1},{"dat":1}]"#).contains("event 2 of the array: unknown field `dat`"));
        assert!(told(LINES, None, b"{\"data\":1}\n\noops").contains("line 3: "));
        assert_eq!(told(JSON, None, b" "), Refused::Nothing.to_string());
        assert_eq!(told(JSON, None, b"[]"), Refused::Nothing.to_string());
        assert_eq!(told(LINES, None, b"\n"), Refused::Nothing.to_string());
        assert_eq!(told(None, None, b"\xff"), Refused::NotUtf8.to_string());
        assert!(told(None, None, b"12345678901").contains("more than history.maxEventBytes, 10"));
        assert!(told(None, None, b"a\0b").contains("NUL"));
        assert!(told(None, Some("event=a%0Aid:1"), b"x").contains("event may not hold CR, LF"));
        assert!(told(None, Some("event=gap"), b"x").contains("the fleet's own words"));
        assert!(told(None, Some("topic=a*"), b"x").contains("topic may not hold"));
        assert!(told(None, Some("topic=a%0D"), b"x").contains("topic may not hold"));
        assert!(told(None, Some("topic="), b"x").contains("from 1 to 256 bytes"));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            kind in prop_oneof![Just(JSON), Just(LINES), Just(None)],
        ) {
            let _ = read(kind, Some("topic=a"), &body, 100);
        }
    }
}
