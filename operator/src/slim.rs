//! What is kept of a child that the watches bring: whose it is, its status, and a digest of the rest. With a thousand
//! streams the rest is most of the operator's memory, and all that is asked of it is whether it has changed.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::controller::children::MANIFEST;

/// Where the digest is, of metadata: a field that API servers have left empty since Kubernetes 1.20. An annotation would
/// take half a kilobyte, as a map has room for eleven.
const DIGEST: &str = "selfLink";

/// The labels that count: others may add theirs.
const OURS: &str = "app.kubernetes.io/";

/// What others look at of a spec: a Deployment's count, and a Service's ports.
const KEPT: [&str; 2] = ["replicas", "ports"];

/// Takes away the labels, and of the spec and of a `ConfigMap`'s data all but what is looked at.
pub fn slim<K: Serialize + DeserializeOwned>(object: &mut K) {
    let slimmed = serde_json::to_value(&*object).ok().and_then(|mut value| {
        let digest = content(&value);
        if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
            spec.retain(|field, _| KEPT.contains(&field.as_str()));
        }
        if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
            data.retain(|file, _| file == MANIFEST);
        }
        value["metadata"]["labels"] = Value::Null;
        value["metadata"][DIGEST] = digest.into();
        serde_json::from_value(value).ok()
    });
    if let Some(slimmed) = slimmed {
        *object = slimmed;
    }
}

/// A digest of all but status and metadata, and of our labels, as the object is or as it was before it was slimmed.
pub fn content(object: &Value) -> String {
    if let Some(digest) = object["metadata"][DIGEST].as_str() {
        return digest.to_owned();
    }
    let mut hasher = DefaultHasher::new();
    for (label, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
        if label.starts_with(OURS) {
            (label, value.as_str()).hash(&mut hasher);
        }
    }
    for (field, value) in object.as_object().into_iter().flatten() {
        if !["metadata", "status"].contains(&field.as_str()) {
            (field, value.to_string()).hash(&mut hasher);
        }
    }
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
    use serde_json::json;

    use super::*;

    fn deployment() -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "quotes", "labels": {"a": "b"}, "generation": 7},
            "spec": {"replicas": 2, "paused": true, "selector": {"matchLabels": {"a": "b"}}, "template": {}},
            "status": {"readyReplicas": 1},
        }))
        .unwrap()
    }

    #[test]
    fn a_slim_object_has_the_digest_of_the_whole_one_and_what_is_looked_at() {
        let whole = serde_json::to_value(deployment()).unwrap();
        let mut slimmed = deployment();
        slim(&mut slimmed);
        assert_eq!(slimmed.metadata.generation, Some(7));
        assert_eq!(slimmed.status, deployment().status);
        let spec = slimmed.spec.clone().unwrap();
        assert_eq!((spec.replicas, spec.paused, spec.selector.match_labels), (Some(2), None, None));
        assert_eq!(content(&serde_json::to_value(&slimmed).unwrap()), content(&whole));
        let mut other = whole.clone();
        other["spec"]["paused"] = false.into();
        assert_ne!(content(&other), content(&whole));
        other["spec"]["paused"] = true.into();
        other["status"] = Value::Null;
        other["metadata"]["labels"]["a"] = "c".into();
        assert_eq!(content(&other), content(&whole));
        other["metadata"]["labels"]["app.kubernetes.io/instance"] = "others".into();
        assert_ne!(content(&other), content(&whole));
    }

    #[test]
    fn of_a_config_map_the_manifest_stays() {
        let data =
            [(MANIFEST, "spec: {}"), ("start.sh", "exit")].map(|(file, text)| (file.to_owned(), text.to_owned()));
        let mut config = ConfigMap { data: Some(data.clone().into()), ..Default::default() };
        slim(&mut config);
        assert_eq!(config.data, Some([data[0].clone()].into()));
    }
}
