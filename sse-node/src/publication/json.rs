//! One event as JSON, in a body of its own, in an array or on a line.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{DEFAULT_TOPIC, Place, Refused, ttl};
use crate::event::NewEvent;

/// A field that is not known is refused, so that a typing error is not an event lost.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"topic\":\"a\",\"event\":\"trade\",\"data\":\"hello\"}")]
struct Json {
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    event: Option<String>,
    /// As it was written: reading it as numbers and maps could change it.
    data: Box<RawValue>,
    #[serde(default)]
    ttl: Option<String>,
}

/// The event of one object.
pub fn event(at: Place, text: &str) -> Result<NewEvent, Refused> {
    let bad = |e: serde_json::Error| Refused::BadEvent { at, why: e.to_string() };
    let json: Json = serde_json::from_str(text).map_err(bad)?;
    let data = match json.data.get() {
        string if string.starts_with('"') => serde_json::from_str(string).map_err(bad)?,
        other => other.to_owned(),
    };
    let topic = json.topic.unwrap_or_else(|| DEFAULT_TOPIC.into());
    Ok(NewEvent { topic, event: json.event, data, ttl: ttl(at, json.ttl.as_deref())? })
}

/// The items of an array.
pub fn items(text: &str) -> Result<impl Iterator<Item = (Place, &str)>, Refused> {
    let bad = |why: serde_json::Error| Refused::BadEvent { at: Place::Event, why: why.to_string() };
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(bad)?;
    Ok(items.into_iter().enumerate().map(|(i, item)| (Place::Item(i + 1), item.get())))
}

/// The same JSON on one line: what may stand between its words is left out, all else is as it was written.
pub fn on_one_line(json: &str) -> String {
    let (mut line, mut in_string, mut escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if matches!(c, ' ' | '\t' | '\r' | '\n') {
            continue;
        } else {
            in_string = c == '"';
        }
        line.push(c);
    }
    line
}
