//! A stream in the cluster, as its users see it: to wait for, edit, look behind, publish to and subscribe to.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use ssefleet_crds::{
    SseStream,
    names::{self, Component},
};

use tokio::time::sleep;

use crate::{
    ask::{Answer, Ask},
    cluster::{Access, Object},
    dial::{self, Target},
    must::Must,
    publisher::{Publisher, Publishing, Rate, Shows},
    sse::reader::{Reader, Subscription},
    wait,
};

/// How long anything may take that pods must start for: Redis with its volume, then the nodes.
pub const STARTUP: Duration = Duration::from_mins(2);

/// How long the kubelets may take to bring a changed file to the pods, and the nodes to see it: about a minute.
pub const RELOAD: Duration = Duration::from_mins(3);

/// How long the operator may take for what needs no pod to start.
pub const REACTION: Duration = Duration::from_secs(30);

/// A stream in the cluster.
#[derive(Clone)]
pub struct Stream {
    pub access: Access,
    pub namespace: String,
    pub name: String,
    /// The host name of its Ingress or route, if it has one.
    pub host: String,
    /// Where subscribers and askers connect to: the ingress, unless told otherwise.
    pub via: Target,
}

impl Stream {
    pub(crate) fn new(access: Access, namespace: &str, name: &str, host: String) -> Self {
        Self { access, namespace: namespace.into(), name: name.into(), host, via: Target::Ingress }
    }

    /// The same stream, by another way in.
    #[must_use]
    pub fn through(&self, via: Target) -> Self {
        Self { via, ..self.clone() }
    }

    /// Objects of one kind in the stream's namespace.
    pub fn api<K: Object + Resource<Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        self.access.api(&self.namespace)
    }

    pub async fn get(&self) -> SseStream {
        self.api().get(&self.name).await.must(format_args!("read stream {}", self.name))
    }

    /// Waits until the newest spec is served and nothing is under way; returns the stream.
    pub async fn ready(&self) -> SseStream {
        let settled = |stream: &SseStream| is(stream, "Ready", "True") && is(stream, "Progressing", "False");
        self.until("it is ready and nothing is in progress", STARTUP, settled).await
    }

    /// Waits until the operator has seen events of the newest spec arrive by the ways in.
    pub async fn verified(&self) -> SseStream {
        let verified = |stream: &SseStream| {
            condition(stream, "StreamVerified").is_some_and(|verified| {
                verified.status == "True" && verified.observed_generation == stream.metadata.generation
            })
        };
        self.until("its stream is verified", STARTUP, verified).await
    }

    /// Waits until the status is about the newest spec and `met` holds.
    pub async fn until(&self, what: &str, within: Duration, met: impl Fn(&SseStream) -> bool) -> SseStream {
        let current = |stream: Option<&SseStream>| stream.is_some_and(|stream| is_current(stream) && met(stream));
        wait::until(&self.api(), &self.name, what, within, current).await.must("read the stream")
    }

    /// Merges a patch into the stream, as `kubectl patch --type=merge` does.
    pub async fn edit(&self, patch: Value) {
        let streams: Api<SseStream> = self.api();
        streams
            .patch(&self.name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .must(format_args!("edit stream {}", self.name));
    }

    /// Merges a patch into its spec.
    pub async fn edit_spec(&self, spec: Value) {
        self.edit(json!({"spec": spec})).await;
    }

    pub async fn delete(&self) {
        let streams: Api<SseStream> = self.api();
        streams.delete(&self.name, &DeleteParams::default()).await.must(format_args!("delete stream {}", self.name));
    }

    /// The label selector of one component's objects.
    pub fn selected(&self, component: Component) -> ListParams {
        let labels: Vec<String> =
            names::selector(&self.name, component).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        ListParams::default().labels(&labels.join(","))
    }

    /// Waits until exactly this many nodes are ready and no other is left; returns the names of their pods.
    pub async fn nodes(&self, count: usize) -> Vec<String> {
        let what = format!("exactly {count} nodes are ready");
        let met = |pods: &[Pod]| pods.len() == count && pods.iter().all(dial::is_ready);
        let pods = wait::until_list(&self.api(), self.selected(Component::Node), &what, STARTUP, met).await;
        pods.iter().map(Pod::name_any).collect()
    }

    /// What one node answers, past the ingress; its ports are those of the Deployment.
    pub async fn ask_node(&self, pod: &str, port: u16, ask: &Ask) -> Result<Answer, String> {
        ask.send_to(&self.access, &Target::Pod { namespace: self.namespace.clone(), name: pod.into(), port }).await
    }

    /// Deletes a pod; returns as soon as its end has begun.
    pub async fn delete_pod(&self, name: &str) {
        let pods: Api<Pod> = self.api();
        pods.delete(name, &DeleteParams::default()).await.must(format_args!("delete pod {name}"));
    }

    /// All children, as `kind/name` with what identifies a version of them, in a fixed order.
    pub async fn children(&self) -> Vec<Child> {
        let mut children = Vec::new();
        self.list::<Deployment>(&mut children).await;
        self.list::<StatefulSet>(&mut children).await;
        self.list::<Service>(&mut children).await;
        self.list::<ConfigMap>(&mut children).await;
        self.list::<Secret>(&mut children).await;
        self.list::<ServiceAccount>(&mut children).await;
        self.list::<Ingress>(&mut children).await;
        self.list::<NetworkPolicy>(&mut children).await;
        self.list::<PodDisruptionBudget>(&mut children).await;
        self.list::<PersistentVolumeClaim>(&mut children).await;
        children
    }

    async fn list<K: Object + Resource<Scope = NamespaceResourceScope>>(&self, children: &mut Vec<Child>) {
        let mine = format!("app.kubernetes.io/name=ssefleet,app.kubernetes.io/instance={}", self.name);
        let found = self.api::<K>().list(&ListParams::default().labels(&mine)).await;
        children.extend(found.must(format_args!("list {}", K::kind(&()))).into_iter().map(|object| Child {
            id: format!("{}/{}", K::kind(&()), object.name_any()),
            uid: object.uid().unwrap_or_default(),
            resource_version: object.resource_version().unwrap_or_default(),
        }));
    }

    /// Waits until this child is gone.
    pub async fn until_pruned<K: Object + Resource<Scope = NamespaceResourceScope>>(&self, name: &str) {
        wait::until_gone(&self.api::<K>(), name, STARTUP).await;
    }

    /// A publisher at the publish Service, with the token that the operator has made.
    pub fn publisher(&self) -> Publisher {
        self.publisher_with(Shows::TokenOf(names::publish_token(&self.name)))
    }

    /// A publisher that shows something else.
    pub fn publisher_with(&self, shows: Shows) -> Publisher {
        let service = Target::Service { namespace: self.namespace.clone(), name: names::publish(&self.name) };
        Publisher::new(self.access.clone(), service, shows)
    }

    /// Begins to publish these numbers, one event each.
    pub fn publish_numbers(&self, numbers: RangeInclusive<u64>, rate: Rate) -> Publishing {
        Publishing::start(self.publisher(), numbers, rate)
    }

    /// A subscriber of the topic that [`publish_numbers`](Self::publish_numbers) uses, through the ingress.
    pub async fn subscribe(&self) -> Reader {
        self.subscribe_at("/events?topic=number").await
    }

    /// A subscriber on each of the stream's `count` nodes. An ingress hears of a node that has become ready a little
    /// later than the API server, and nothing tells when it has.
    pub async fn subscribe_to_each_node(&self, count: usize) -> Vec<Reader> {
        let nodes = self.nodes(count).await;
        let mut readers: Vec<Reader> = Vec::new();
        let begun = Instant::now();
        while readers.len() < count {
            let spread = begun.elapsed() < REACTION;
            assert!(
                spread,
                "of {nodes:?} subscribers only get to {:?}",
                readers.iter().map(Reader::pod).collect::<Vec<_>>()
            );
            let reader = self.subscribe().await;
            if readers.iter().all(|other| other.pod() != reader.pod()) {
                assert!(nodes.iter().any(|node| node == reader.pod()), "{} is none of {nodes:?}", reader.pod());
                readers.push(reader);
            }
            sleep(Duration::from_millis(20)).await;
        }
        readers
    }

    /// A subscriber through the ingress.
    pub async fn subscribe_at(&self, path_and_query: &str) -> Reader {
        self.subscribe_with(path_and_query, &[]).await
    }

    /// A subscriber through the ingress that sends these header fields.
    pub async fn subscribe_with(&self, path_and_query: &str, headers: &[(&str, &str)]) -> Reader {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (via, host) = (self.via.clone(), self.host.clone());
        let subscription = Subscription { via, host, path_and_query: path_and_query.into(), headers };
        Reader::connect(self.access.clone(), subscription).await
    }

    /// One request through the ingress, and a node's answer.
    pub async fn ask(&self, ask: &Ask) -> Answer {
        ask.send(&self.access, &self.via, &self.host).await
    }

    /// One request, and the answer, whoever gives it; an error without one.
    pub async fn ask_once(&self, ask: &Ask) -> Result<Answer, String> {
        ask.once(&self.access, &self.via, &self.host).await
    }

    /// The same, until the answer is as it should be. Nothing tells when a node has read a changed file.
    pub async fn ask_until(&self, ask: &Ask, what: &str, within: Duration, met: impl Fn(&Answer) -> bool) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.ask(ask).await;
            if met(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < within, "waited {within:?} in vain until {what}; the last answer was {answer:?}");
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// An object that belongs to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// `Kind/name`.
    pub id: String,
    pub uid: String,
    pub resource_version: String,
}

/// The stream's condition of this type.
pub fn condition<'a>(stream: &'a SseStream, type_: &str) -> Option<&'a Condition> {
    stream.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition has this status.
pub fn is(stream: &SseStream, type_: &str, status: &str) -> bool {
    condition(stream, type_).is_some_and(|condition| condition.status == status)
}

/// Whether the status is about the newest spec.
pub fn is_current(stream: &SseStream) -> bool {
    stream.status.as_ref().is_some_and(|status| status.observed_generation == stream.metadata.generation)
}
