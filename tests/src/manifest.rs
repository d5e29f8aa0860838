//! The manifests of `examples/`, and short ones for what no example shows, fitted to the cluster of the run.

use std::fs;

use serde_json::{Value, json};

use crate::{helm::repository, must::Must, settings::Settings};

/// `examples/quickstart.yaml`: two nodes, a managed Redis, an Ingress.
pub fn quickstart() -> Value {
    example("quickstart")
}

/// One node that keeps its events in memory: the quickest to be ready.
pub fn memory() -> Value {
    example("memory")
}

/// The stream in `examples/NAME.yaml`.
pub fn example(name: &str) -> Value {
    let path = repository().join(format!("examples/{name}.yaml"));
    let text = fs::read_to_string(&path).must(format_args!("read {}", path.display()));
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).must(format_args!("parse {}", path.display()));
    documents.into_iter().find(|document| document["kind"] == "SseStream").must(format_args!("use {}", path.display()))
}

/// The names of all examples, without `.yaml`.
pub fn examples() -> Vec<String> {
    let folder = fs::read_dir(repository().join("examples")).must("list examples/");
    let mut names: Vec<String> = folder
        .map(|entry| entry.must("list examples/").file_name().to_string_lossy().into_owned())
        .filter_map(|file| file.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// A stream of any spec.
pub fn stream(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream", "metadata": {"name": name}, "spec": spec})
}

/// The same stream, with more in its spec: objects are merged, `null` removes.
pub fn with(mut manifest: Value, spec: &Value) -> Value {
    merge(&mut manifest["spec"], spec);
    manifest
}

/// JSON merge patch, RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().must("merge into an object").remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

/// Fits a stream to the cluster: its namespace, a host name of its own, so that tests at the same time do not meet, the
/// cluster's controller where examples have Traefik, and the cluster's Gateway where they name one in namespace `infra`.
/// Nodes ask for less than by default, as the hosts may be one small machine, whose processors are soon promised away.
/// Returns the host.
pub(crate) fn fit(manifest: &mut Value, namespace: &str, settings: &Settings) -> String {
    let host = format!("{}.{namespace}.test", manifest["metadata"]["name"].as_str().unwrap_or_default());
    manifest["metadata"]["namespace"] = json!(namespace);
    let resources = &mut manifest["spec"]["fleet"]["pod"]["resources"];
    if resources.is_null() {
        *resources = json!({"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}});
    }
    let exposure = manifest.pointer_mut("/spec/exposure").and_then(Value::as_object_mut);
    for (way, spec) in exposure.into_iter().flatten() {
        match way.as_str() {
            "ingress" => {
                spec["host"] = json!(host);
                if spec["controller"] == "Traefik" {
                    spec["controller"] = json!(settings.ingress.controller);
                    spec["className"] = json!(settings.ingress.class);
                }
            }
            "gateway" => {
                spec["hostnames"] = json!([host]);
                for parent in spec["parentRefs"].as_array_mut().into_iter().flatten() {
                    if parent["namespace"] == "infra" {
                        let (namespace, name) = &settings.gateway;
                        *parent = json!({"name": name, "namespace": namespace});
                    }
                }
            }
            _ => {}
        }
    }
    host
}
