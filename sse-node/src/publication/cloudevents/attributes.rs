//! The attributes of a CloudEvent in JSON, checked.
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Those that decide what becomes of it.
pub struct Attributes {
    pub id: String,
    pub source: String,
    /// Its `type`.
    pub kind: String,
    pub subject: Option<String>,
}

impl Attributes {
    /// Or a sentence that says what is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let object: BTreeMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|error| format!("a CloudEvent is a JSON object: {error}"))?;
        let version = required(&object, "specversion")?;
        if version != "1.0" {
            return Err(format!("specversion must be 1.0; it is {version:?}"));
        }
        let (id, source, kind) = (required(&object, "id")?, required(&object, "source")?, required(&object, "type")?);
        for name in ["datacontenttype", "dataschema"] {
            string(&object, name)?;
        }
        if let Some(time) = string(&object, "time")?
            && time.parse::<jiff::Timestamp>().is_err()
        {
            return Err(format!("time must be as in RFC 3339, for example 2026-01-31T12:00:00Z; it is {time:?}"));
        }
        if object.contains_key("data") && object.contains_key("data_base64") {
            return Err("data and data_base64 exclude each other".into());
        }
        for (name, value) in object.iter().filter(|(name, _)| !matches!(name.as_str(), "data" | "data_base64")) {
            check_name(name)?;
            if value.get().starts_with(['{', '[']) {
                return Err(format!("{name} is an object or an array; only data may be one"));
            }
        }
        Ok(Self { id, source, kind, subject: string(&object, "subject")? })
    }
}

fn required(object: &BTreeMap<String, &RawValue>, name: &str) -> Result<String, String> {
    let missing = || format!("{name} is missing: a CloudEvent needs specversion, id, source and type");
    string(object, name)?.ok_or_else(missing)
}

/// An attribute that is null is as good as none; an empty one is a mistake.
fn string(object: &BTreeMap<String, &RawValue>, name: &str) -> Result<Option<String>, String> {
    let Some(value) = object.get(name) else { return Ok(None) };
    match serde_json::from_str::<Option<String>>(value.get()) {
        Ok(Some(text)) if text.is_empty() => Err(format!("{name} may not be empty")),
        Ok(text) => Ok(text),
        Err(_) => Err(format!("{name} must be a string")),
    }
}

/// Names hold lower-case letters and digits only, so that every protocol can carry them.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err(format!("{name:?} is no name of an attribute: those hold only lower-case letters and digits"));
    }
    Ok(())
}
