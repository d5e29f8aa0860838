//! `SseStream` itself: what stands directly under `spec`, and the rules that look at the whole object.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::{CustomResource, CustomResourceExt, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    auth::Auth, autoscaling::Autoscaling, broker::Broker, compression::Compression, connections::Connections,
    cors::Cors, exposure::Exposure, fleet::Fleet, history::History, rate_limits::RateLimits, status::SseStreamStatus,
};

/// A server-sent-events stream and the fleet that serves it. The operator makes the pods, the broker
/// and the ingress from this one object and keeps them so. `spec: {}` works: two nodes, a managed
/// Redis, reachable inside the cluster.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ssefleet.dev",
    version = "v1alpha1",
    kind = "SseStream",
    plural = "ssestreams",
    shortname = "sse",
    namespaced,
    status = "SseStreamStatus",
    derive = "PartialEq",
    derive = "Default",
    cel,
    doc = "A server-sent-events stream and the fleet that serves it. The operator makes the pods, the broker and the ingress from this one object and keeps them so. `spec: {}` works: two nodes, a managed Redis, reachable inside the cluster.",
    scale(
        spec_replicas_path = ".spec.fleet.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether subscribers are served as the spec says"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.readyReplicas", description = "Nodes that are ready"),
    printcolumn(name = "Connections", type_ = "integer", json_path = ".status.connections", description = "Open connections, on all nodes together"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", description = "Where to subscribe"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1, description = "Why it is ready or not, in a word"),
    printcolumn(name = "Rollout", type_ = "string", json_path = ".status.conditions[?(@.type==\"Progressing\")].reason", priority = 1, description = "Whether every node runs the current spec, in a word"),
    printcolumn(name = "Broker", type_ = "string", json_path = ".status.conditions[?(@.type==\"BrokerReady\")].reason", priority = 1, description = "How the broker is, in a word"),
    printcolumn(name = "Exposed", type_ = "string", json_path = ".status.conditions[?(@.type==\"Exposed\")].reason", priority = 1, description = "Whether it can be reached from outside, in a word"),
    printcolumn(name = "Events", type_ = "integer", json_path = ".status.eventsPublished", priority = 1, description = "Events that the log has had"),
    printcolumn(name = "Verified", type_ = "string", json_path = ".status.conditions[?(@.type==\"StreamVerified\")].status", priority = 1, description = "Whether a probe saw the stream arrive as it should by the public path"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 50")
        .message("metadata.name becomes the name of Services: use at most 50 lower-case letters, digits and '-', beginning with a letter"),
    validation = Rule::new("!self.metadata.name.matches('-(redis|publish|admin|edge|public|retry)$')")
        .message("metadata.name may not end in -redis, -publish, -admin, -edge, -public or -retry: those are the names of other streams' children"),
    validation = Rule::new("!has(self.spec.rateLimits) || has(self.spec.auth.jwt) || ((!has(self.spec.rateLimits.connect) || self.spec.rateLimits.connect.per != 'Subject') && (!has(self.spec.rateLimits.concurrent) || self.spec.rateLimits.concurrent.per != 'Subject'))")
        .message("rateLimits.connect and concurrent per: Subject need auth.jwt, whose tokens say who the subject is"),
    validation = Rule::new("!has(self.spec.rateLimits) || !has(self.spec.rateLimits.publish) || self.spec.rateLimits.publish.per != 'Subject' || (has(self.spec.auth.publish) && has(self.spec.auth.publish.jwt))")
        .message("rateLimits.publish per: Subject needs auth.publish.jwt, whose tokens say who the subject is"),
    validation = Rule::new("!has(self.spec.broker.memory) || self.spec.fleet.replicas == 1")
        .message("broker.memory keeps the events inside one pod: set fleet.replicas to 1, or use broker.redis to have several"),
    validation = Rule::new("!has(self.spec.autoscaling) || !has(self.spec.broker.memory)")
        .message("autoscaling needs broker.redis: broker.memory keeps the events inside one pod"),
    validation = Rule::new("!has(self.spec.autoscaling) || !has(self.spec.autoscaling.targetConnectionsPerPod) || self.spec.autoscaling.targetConnectionsPerPod <= self.spec.connections.maxPerPod")
        .message("autoscaling.targetConnectionsPerPod may not be more than connections.maxPerPod, at which a node refuses"),
    validation = Rule::new("!has(self.spec.autoscaling) || !has(self.spec.autoscaling.targetCpuPercent) || !has(self.spec.fleet.pod.resources) || (has(self.spec.fleet.pod.resources.requests) && 'cpu' in self.spec.fleet.pod.resources.requests)")
        .message("autoscaling.targetCpuPercent is of what the nodes request: set fleet.pod.resources.requests.cpu")
)]
#[serde(rename_all = "camelCase")]
pub struct SseStreamSpec {
    /// The HTTP path of the stream: `GET` here subscribes. Default `/events`.
    #[serde(default = "default_path")]
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(
        validation = Rule::new("self.matches('^/[A-Za-z0-9._~/-]*$')").message("path must begin with '/' and hold only letters, digits and . _ ~ - /, for example /events"),
        validation = Rule::new("self != '/health' && self != '/publish'").message("path may not be /health or /publish: both are served by every node already; use /events, for example")
    )]
    pub path: String,

    /// The nodes: how many, and how they are rolled out.
    #[serde(default)]
    pub fleet: Fleet,

    /// What each connection gets, and how many a node takes.
    #[serde(default)]
    pub connections: Connections,

    /// Who may subscribe, and who may publish.
    #[serde(default)]
    pub auth: Auth,

    /// How often, and how many at a time; counted over all nodes. Without it, no limits but `connections.maxPerPod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimits>,

    /// Which web pages of other origins may read the stream. Without it, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,

    /// How events are made smaller. Default: not at all.
    #[serde(default)]
    pub compression: Compression,

    /// How far back a subscriber that was away can resume.
    #[serde(default)]
    pub history: History,

    /// Where events are kept, so that every node serves the same log. Exactly one of its members.
    /// Default: a Redis that the operator runs.
    #[serde(default)]
    pub broker: Broker,

    /// How many nodes there are is decided by the load. Without it, there are `fleet.replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,

    /// How the stream is reached from outside the cluster. Without it, only from inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
}

fn default_path() -> String {
    "/events".into()
}

/// The CustomResourceDefinition as it is installed.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = SseStream::crd();
    // Helm removes what it installed; a CRD that goes takes every stream with it.
    crd.metadata.annotations.get_or_insert_default().insert("helm.sh/resource-policy".into(), "keep".into());
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        schema.into_iter().for_each(forget_unsigned);
    }
    crd
}

/// The API server warns of formats that it does not know; ranges say all that `uint32` would.
fn forget_unsigned(schema: &mut JSONSchemaProps) {
    schema.format.take_if(|format| format.starts_with("uint"));
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(forget_unsigned);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        forget_unsigned(items);
    }
}
