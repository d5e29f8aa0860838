//! Binary mode: attributes stand in `ce-` headers, the data in the body. It is made structured.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{HeaderMap, header::CONTENT_TYPE};
use serde_json::value::RawValue;

use super::{
    super::{Place, Refused, json::on_one_line, media_type},
    attributes::check_name,
};

/// The same CloudEvent as structured JSON.
pub fn structured(headers: &HeaderMap, body: &[u8]) -> Result<String, Refused> {
    let bad = |why: String| Refused::BadEvent { at: Place::Event, why };
    let mut attributes = BTreeMap::new();
    for (header, value) in headers {
        let (name, value) = match header.as_str().strip_prefix("ce-") {
            Some("datacontenttype") => return Err(bad("datacontenttype is the Content-Type, not a header".into())),
            Some(name @ ("data" | "data64")) => return Err(bad(format!("{name} stands in the body, not in a header"))),
            Some(name) => (name, unescaped(value.as_bytes()).ok_or_else(|| bad(format!("{header} is not UTF-8")))?),
            None if header == CONTENT_TYPE => {
                let text = value.to_str().map_err(|_| bad("Content-Type is not ASCII".into()))?;
                ("datacontenttype", text.to_owned())
            }
            None => continue,
        };
        check_name(name).map_err(bad)?;
        if attributes.insert(name, value).is_some() {
            return Err(bad(format!("{header} is given more than once")));
        }
    }
    let json = serde_json::to_string(&attributes).map_err(|error| bad(error.to_string()))?;
    let Some((name, data)) = data(&media_type(headers), body).map_err(bad)? else { return Ok(json) };
    let comma = if attributes.is_empty() { "" } else { "," };
    Ok(format!("{}{comma}\"{name}\":{data}}}", json.strip_suffix('}').unwrap_or_default()))
}

/// The data as a member of the JSON; none if the body is empty.
fn data(media_type: &str, body: &[u8]) -> Result<Option<(&'static str, String)>, String> {
    let text = std::str::from_utf8(body);
    let is_json = media_type.ends_with("/json") || media_type.ends_with("+json");
    let text = match text {
        _ if body.is_empty() => return Ok(None),
        Ok(text) if is_json => {
            let json: &RawValue =
                serde_json::from_str(text).map_err(|error| format!("the body is not {media_type}: {error}"))?;
            return Ok(Some(("data", on_one_line(json.get()))));
        }
        Err(_) if is_json => return Err(format!("the body is not {media_type}: it is not UTF-8")),
        Ok(text) if media_type.starts_with("text/") => text,
        _ => return Ok(Some(("data_base64", format!("\"{}\"", STANDARD.encode(body))))),
    };
    let string = serde_json::to_string(text).map_err(|error| error.to_string())?;
    Ok(Some(("data", string)))
}

/// A header's value as text: `%` and two digits stand for a byte of UTF-8; anything else for itself.
fn unescaped(value: &[u8]) -> Option<String> {
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
    let (mut bytes, mut at) = (Vec::with_capacity(value.len()), 0);
    while at < value.len() {
        if let (b'%', Some(high), Some(low)) = (value[at], hex(value.get(at + 1)), hex(value.get(at + 2))) {
            bytes.push(high * 16 + low);
            at += 3;
        } else {
            bytes.push(value[at]);
            at += 1;
        }
    }
    String::from_utf8(bytes).ok()
}
