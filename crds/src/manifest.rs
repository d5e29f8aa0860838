//! Reads a `SseStream` from a file as strictly as the API server would: unknown fields, ranges and CEL
//! rules are checked here too, so that what runs on a laptop applies to a cluster.

use std::fmt;

use kube::CustomResourceExt;
use serde_json::Value;

use crate::{SseStream, validated::Invalid};

/// Why a manifest was refused: one sentence for each thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("this is not YAML: {0}")]
    NotYaml(String),
    #[error("no SseStream of ssefleet.dev/v1alpha1 in here, only {found}")]
    NoStream { found: String },
    #[error("{0} SseStreams in here: a node serves one; put the others into files of their own")]
    SeveralStreams(usize),
    #[error("{0}")]
    Invalid(Problems),
}

/// All that is wrong with one manifest.
#[derive(Debug)]
pub struct Problems(pub Vec<Invalid>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// The one `SseStream` among the YAML documents of `text`.
pub fn read(text: &str) -> Result<SseStream, Refused> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| Refused::NotYaml(error.to_string()))?;
    let (mut streams, others): (Vec<_>, Vec<_>) = documents
        .into_iter()
        .filter(|document| !document.is_null())
        .partition(|d| d["kind"] == "SseStream" && d["apiVersion"] == "ssefleet.dev/v1alpha1");
    match (streams.pop(), streams.len()) {
        (Some(stream), 0) => check(&stream),
        (Some(_), more) => Err(Refused::SeveralStreams(more + 1)),
        (None, _) => Err(Refused::NoStream { found: kinds(&others) }),
    }
}

fn kinds(documents: &[Value]) -> String {
    if documents.is_empty() {
        return "nothing".into();
    }
    let kind = |d: &Value| match (d["apiVersion"].as_str(), d["kind"].as_str()) {
        (Some(version), Some(kind)) => format!("{kind} of {version}"),
        _ => "a document without apiVersion and kind".into(),
    };
    documents.iter().map(kind).collect::<Vec<_>>().join(", ")
}

fn check(document: &Value) -> Result<SseStream, Refused> {
    let refuse = |problems| Refused::Invalid(Problems(problems));
    let mut problems = Vec::new();
    walk(&schema()["properties"]["spec"], &document["spec"], "spec", &mut problems);
    if !problems.is_empty() {
        return Err(refuse(problems));
    }
    let stream: SseStream = serde_path_to_error::deserialize(document)
        .map_err(|error| refuse(vec![Invalid::new(error.path().to_string(), error.inner().to_string())]))?;
    stream.validate_cel().map_err(|errors| {
        refuse(errors.into_vec().into_iter().map(|e| Invalid::new(e.field_path, e.message)).collect())
    })?;
    Ok(stream)
}

fn schema() -> Value {
    let versions = SseStream::crd().spec.versions;
    let schema = versions.into_iter().next().and_then(|version| version.schema);
    serde_json::to_value(schema.and_then(|schema| schema.open_api_v3_schema)).unwrap_or_default()
}

/// What OpenAPI says and CEL rules do not: unknown fields, ranges and lengths. Types and enums are left to
/// serde, which names what it expected.
fn walk(schema: &Value, value: &Value, at: &str, problems: &mut Vec<Invalid>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = format!("{at}.{name}");
                if let Some(schema) = schema["properties"].get(name).or_else(|| schema.get("additionalProperties")) {
                    walk(schema, value, &at, problems);
                } else if let Some(known) = schema["properties"].as_object() {
                    let known = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                    problems.push(Invalid::new(at, format!("unknown field; there are {known}")));
                }
            }
        }
        Value::Array(items) => {
            let length = items.len() as u64;
            let over = schema["maxItems"].as_u64().is_some_and(|max| length > max);
            let under = schema["minItems"].as_u64().is_some_and(|min| length < min);
            if over || under {
                problems.push(Invalid::new(at, "has too few or too many items"));
            }
            for (i, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &format!("{at}[{i}]"), problems);
            }
        }
        Value::Number(number) => {
            let n = number.as_f64().unwrap_or_default();
            let over = schema["maximum"].as_f64().is_some_and(|max| n > max);
            let under = schema["minimum"].as_f64().is_some_and(|min| n < min);
            if over || under {
                let bound = |name: &str| schema[name].as_f64().map_or_else(|| "any".into(), |n| n.to_string());
                let range = format!("must be from {} to {}", bound("minimum"), bound("maximum"));
                problems.push(Invalid::new(at, range));
            }
        }
        Value::String(text) => {
            let length = text.chars().count() as u64;
            let over = schema["maxLength"].as_u64().is_some_and(|max| length > max);
            let under = schema["minLength"].as_u64().is_some_and(|min| length < min);
            if over || under {
                problems.push(Invalid::new(at, "is too short or too long"));
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}
