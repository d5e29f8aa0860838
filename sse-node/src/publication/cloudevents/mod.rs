//! CloudEvents 1.0 by their HTTP binding: structured, in batches, and binary.
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>
//!
//! Whatever the mode, subscribers get the whole CloudEvent as structured JSON on one line; its `type` is the
//! event's name, and its `subject` the topic unless the query names one.

mod attributes;
mod binary;
#[cfg(test)]
mod tests;

use hyper::HeaderMap;

use self::attributes::Attributes;
use super::{DEFAULT_TOPIC, Head, Key, MAX_EVENTS, Place, Publication, Refused, json, media_type, some};
use crate::event::NewEvent;

/// How CloudEvents stand in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Structured,
    Batch,
    Binary,
}

impl Mode {
    /// None if a request holds no CloudEvents.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Refused> {
        match media_type(headers).as_str() {
            "application/cloudevents+json" => Ok(Some(Self::Structured)),
            "application/cloudevents-batch+json" => Ok(Some(Self::Batch)),
            other if other.starts_with("application/cloudevents") => Err(Refused::BadEvent {
                at: Place::Event,
                why: format!("CloudEvents are read as application/cloudevents+json or -batch+json, not as {other}"),
            }),
            _ => Ok(headers.keys().any(|name| name.as_str().starts_with("ce-")).then_some(Self::Binary)),
        }
    }
}

/// The events of a body.
pub fn read(head: &Head, mode: Mode, body: &[u8]) -> Result<Publication, Refused> {
    if mode == Mode::Binary {
        return single(head, &binary::structured(head.headers, body)?);
    }
    let text = std::str::from_utf8(body).map_err(|_| Refused::NotUtf8)?;
    if mode == Mode::Structured {
        return single(head, text);
    }
    let events = json::items(text)?.map(|(at, item)| Ok(event(head, at, item)?.0));
    some(events.take(MAX_EVENTS + 1).collect::<Result<_, _>>()?).map(Publication::from)
}

/// One that is alone brings its own key: `source` and `id` make it unique.
fn single(head: &Head, text: &str) -> Result<Publication, Refused> {
    let (event, key) = event(head, Place::Event, text)?;
    Ok(Publication { events: vec![event], key: Some(key) })
}

fn event(head: &Head, at: Place, text: &str) -> Result<(NewEvent, Key), Refused> {
    let attributes = Attributes::read(text).map_err(|why| Refused::BadEvent { at, why })?;
    let key = Key::cloud_event(&attributes.source, &attributes.id);
    let topic = head.topic.clone().or(attributes.subject).unwrap_or_else(|| DEFAULT_TOPIC.into());
    let new = NewEvent { topic, event: Some(attributes.kind), data: json::on_one_line(text), ttl: head.ttl };
    Ok((head.check(at, new)?, key))
}
