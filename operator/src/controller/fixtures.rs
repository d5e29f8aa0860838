//! The streams that the tests of this module build from.

use ssefleet_crds::{SseStream, SseStreamSpec};

use super::{Observed, Password, Wanted, validate};
use crate::settings::Settings;

pub(crate) fn settings() -> Settings {
    Settings {
        node_image: "sse-node:test".into(),
        redis_image: "redis:test".into(),
        image_pull_policy: None,
        watch_namespace: None,
    }
}

pub(crate) fn yaml(spec: &str) -> SseStreamSpec {
    serde_saphyr::from_str(spec).unwrap()
}

pub(crate) fn stream(spec: SseStreamSpec) -> SseStream {
    let mut stream = SseStream::new("quotes", spec);
    stream.metadata.namespace = Some("market".into());
    stream.metadata.uid = Some("5e1f".into());
    stream.metadata.generation = Some(1);
    stream
}

pub(crate) fn wanted(spec: SseStreamSpec) -> Wanted {
    let managed = spec.broker.redis.as_ref().is_some_and(|redis| redis.managed.is_some());
    let password = managed.then(|| Password::New("made-up".into()));
    validate(&stream(spec), &Observed { password, missing: Vec::new() }, &settings()).unwrap()
}

pub(crate) fn memory() -> Wanted {
    wanted(yaml("fleet: {replicas: 1}\nbroker: {memory: {}}"))
}

pub(crate) fn managed() -> Wanted {
    wanted(yaml("{}"))
}

pub(crate) fn external() -> Wanted {
    wanted(yaml(
        "
broker:
  redis:
    external:
      url: rediss://redis.example.com:6380/1
      usernameSecretRef: {name: redis-auth, key: user}
      passwordSecretRef: {name: redis-auth, key: password}
      tls: {caSecretRef: {name: company.ca, key: ca.crt}}
fleet:
  replicas: 3
  drain: {timeout: 5m}
  pod:
    image: registry.example.com/sse-node:2
    resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 2Gi}}
    nodeSelector: {disktype: ssd}
    tolerations: [{key: streams, operator: Exists, effect: NoSchedule}]
    annotations: {example.com/team: quotes}
",
    ))
}
