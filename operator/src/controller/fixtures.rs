//! The streams that the tests of this module build from.

use k8s_openapi::{ByteString, api::core::v1::Secret};
use ssefleet_crds::{SseStream, SseStreamSpec};

use super::{Credential, Observed, Wanted, validate};
use crate::{optional::Kind, settings::Settings};

pub(crate) fn settings() -> Settings {
    Settings {
        node_image: "sse-node:test".into(),
        redis_image: "redis:test".into(),
        nginx_image: "nginx:test".into(),
        image_pull_policy: None,
        watch_namespaces: Vec::new(),
        image_pull_secrets: Vec::new(),
        network_policies: true,
        scrape_namespaces: Vec::new(),
        pod_namespace: None,
    }
}

pub(crate) fn yaml(spec: &str) -> SseStreamSpec {
    serde_saphyr::from_str(spec).unwrap()
}

pub(crate) fn secret(keys: &[(&str, &str)]) -> Secret {
    let data = keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
    Secret { data: Some(data), ..Default::default() }
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
    let made_up = || Credential::New("made-up".into());
    let password = managed.then(made_up);
    let observed = Observed {
        password,
        publish_token: Some(made_up()),
        admin_token: Some(made_up()),
        kinds: Kind::ALL.into(),
        ..Observed::default()
    };
    validate(&stream(spec), &observed, &settings()).unwrap()
}

pub(crate) fn memory() -> Wanted {
    wanted(yaml("fleet: {replicas: 1}\nbroker: {memory: {}}"))
}

pub(crate) fn managed() -> Wanted {
    wanted(yaml("{}"))
}

pub(crate) fn replicated() -> Wanted {
    wanted(yaml("broker: {redis: {managed: {topology: Replicated}}}"))
}

/// All that the edge can be told, and three keys of two Secrets.
pub(crate) const EDGE: &str = "
auth:
  jwt:
    keys:
    - {kid: a, secretRef: {name: jwt-keys, key: current}}
    - {secretRef: {name: jwt-keys, key: previous}}
    algorithms: [HS256]
    issuer: https://login.example.com
    audience: quotes
    tokenSources: [{cookie: session}]
  publish:
    jwt:
      keys: [{jwks: {url: https://login.example.com/jwks.json, caSecretRef: {name: company.ca, key: ca.crt}}}]
      algorithms: [ES256]
rateLimits:
  connect: {max: 30, window: 1m, per: Subject}
  concurrent: {per: Header, header: X-Api-Key}
  publish: {max: 100}
  trustedProxies: [10.0.0.0/8]
  whenRedisIsAway: Refuse
cors: {allowedOrigins: [https://app.example.com], allowCredentials: true}
compression: {mode: Transport, thresholdBytes: 512}
";

pub(crate) fn edge() -> Wanted {
    wanted(yaml(EDGE))
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

/// A Redis behind Sentinels, each of which wants to see something of its own.
pub(crate) fn sentinels() -> Wanted {
    wanted(yaml(
        "
broker:
  redis:
    external:
      url: rediss://a.example.com:26379,b.example.com:26379/0
      topology: Sentinel
      sentinel:
        masterName: main
        usernameSecretRef: {name: redis-auth, key: sentinel-user}
        passwordSecretRef: {name: redis-auth, key: sentinel-password}
      usernameSecretRef: {name: redis-auth, key: user}
      passwordSecretRef: {name: redis-auth, key: password}
      tls: {caSecretRef: {name: company.ca, key: ca.crt}}
    confirm: {replicas: 2, timeout: 500ms}
",
    ))
}

/// A Redis Cluster in the open.
pub(crate) fn cluster() -> Wanted {
    wanted(yaml("broker: {redis: {external: {url: \"redis://a:6379,b:6379\", topology: Cluster}}}"))
}
