//! A namespace on the API server, and a proxy before it.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};
use ssefleet_crds::{SseStream, edition::SECRETS};
use ssefleet_tests::{Must, apiserver::ApiServer, cluster::Object, faults::Proxy, manifest, stream::is_current, wait};
use tokio::sync::{RwLock, RwLockReadGuard};

use crate::process::{Operator, PATIENCE, Server};

/// Tests share the machine, but for the one that measures it.
pub static TURN: RwLock<()> = RwLock::const_new(());

pub struct Arena {
    pub server: ApiServer,
    pub admin: Client,
    pub proxy: Proxy,
    pub namespace: String,
    turn: Arc<RwLockReadGuard<'static, ()>>,
}

impl Arena {
    pub async fn new(purpose: &str) -> Self {
        Self::in_turn(purpose, Arc::new(TURN.read().await)).await
    }

    /// A second one for the same test, which must not wait for another turn: someone who waits for all turns to end would
    /// come before it.
    pub async fn another(&self, purpose: &str) -> Self {
        Self::in_turn(purpose, self.turn.clone()).await
    }

    async fn in_turn(purpose: &str, turn: Arc<RwLockReadGuard<'static, ()>>) -> Self {
        let server = ApiServer::shared().await;
        let admin = server.admin().await;
        let namespace = namespace(&admin, purpose).await;
        let proxy = Proxy::start(server.config("operator").await).await;
        Self { server, admin, proxy, namespace, turn }
    }

    /// An operator behind the proxy.
    pub fn operator(&self) -> Operator {
        Operator::start(Server::Plain(self.address()), &[&self.namespace])
    }

    pub fn address(&self) -> SocketAddr {
        self.proxy.address
    }

    pub fn api<K: Object + Resource<Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    /// Applies the stream `quotes` with this spec, in place of the one that is there.
    pub async fn apply(&self, spec: &Value) {
        self.apply_named("quotes", spec).await;
    }

    pub async fn apply_named(&self, name: &str, spec: &Value) {
        let mut stream = manifest::stream(name, spec);
        let api = self.api::<SseStream>();
        let there = api.get_opt(name).await.must("look for the stream");
        stream["metadata"]["resourceVersion"] = json!(there.as_ref().and_then(ResourceExt::resource_version));
        let stream: SseStream = serde_json::from_value(stream).must("write a stream");
        let params = PostParams::default();
        // Replaced as a whole: in an apply, the API server's defaults of the earlier spec would stay.
        let written = match there {
            None => api.create(&params, &stream).await,
            Some(_) => api.replace(name, &params, &stream).await,
        };
        written.must(format_args!("write stream {name}"));
    }

    /// Waits until the status is about the newest spec, which it is at the end of a reconcile.
    pub async fn settled(&self) -> SseStream {
        self.settled_as("quotes").await
    }

    pub async fn settled_as(&self, name: &str) -> SseStream {
        let met = |stream: Option<&SseStream>| stream.is_some_and(is_current);
        let what = "its status is about its newest spec";
        wait::until(&self.api(), name, what, PATIENCE, met).await.must("read the stream")
    }

    /// The children of all streams here, as `Kind/name`, without what differs from one making to the next.
    pub async fn children(&self) -> BTreeMap<String, Value> {
        let mut children = BTreeMap::new();
        self.list::<ConfigMap>(&mut children).await;
        self.list::<Deployment>(&mut children).await;
        self.list::<Ingress>(&mut children).await;
        self.list::<NetworkPolicy>(&mut children).await;
        self.list::<PodDisruptionBudget>(&mut children).await;
        self.list::<Secret>(&mut children).await;
        self.list::<Service>(&mut children).await;
        self.list::<ServiceAccount>(&mut children).await;
        self.list::<StatefulSet>(&mut children).await;
        children
    }

    async fn list<K: Object + Resource<Scope = NamespaceResourceScope>>(&self, into: &mut BTreeMap<String, Value>) {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=sse-operator");
        let found = self.api::<K>().list(&ours).await.must(format_args!("list {}", K::kind(&())));
        into.extend(found.into_iter().map(|object| {
            let id = format!("{}/{}", K::kind(&()), object.name_any());
            (id, self.comparable(serde_json::to_value(object).must("write an object")))
        }));
    }

    fn comparable(&self, mut object: Value) -> Value {
        let owner = object["metadata"]["ownerReferences"][0]["uid"].as_str().unwrap_or("no owner").to_owned();
        let metadata = object["metadata"].as_object_mut().must("read metadata");
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "namespace"] {
            metadata.remove(field);
        }
        object.as_object_mut().must("read an object").remove("status");
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
        match object["kind"].as_str() {
            // A digest of a random password, or of an address with the namespace in it.
            Some("StatefulSet" | "Deployment") => object["spec"]["template"]["metadata"]["annotations"] = Value::Null,
            // The manifest tells a digest of the Secrets, by a random key.
            Some("ConfigMap") => {
                let data = object["data"].as_object_mut().into_iter().flatten();
                data.for_each(|(_, text)| *text = json!(without_digest(text.as_str().unwrap_or_default())));
            }
            Some("Secret") => {
                let data = object["data"].as_object_mut().into_iter().flatten();
                data.for_each(|(_, value)| *value = json!("made up"));
            }
            _ => {}
        }
        let text = object.to_string().replace(&self.namespace, "NAMESPACE").replace(&owner, "OWNER");
        serde_json::from_str(&text).must("read an object again")
    }

    /// What the operator has made up, by the Secret's name.
    pub async fn credentials(&self) -> BTreeMap<String, Value> {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=sse-operator");
        let found = self.api::<Secret>().list(&ours).await.must("list Secrets");
        found.into_iter().map(|secret| (secret.name_any(), json!(secret.data))).collect()
    }
}

fn without_digest(manifest: &str) -> String {
    let lines = manifest.lines().filter(|line| !line.trim_start().starts_with(SECRETS));
    lines.flat_map(|line| [line, "\n"]).collect()
}

pub async fn namespace(admin: &Client, purpose: &str) -> String {
    let name = format!("{purpose}-{:06x}", fastrand::u32(..1 << 24));
    let mut wanted = Namespace::default();
    wanted.metadata.name = Some(name.clone());
    let namespaces: Api<Namespace> = Api::all(admin.clone());
    namespaces.create(&PostParams::default(), &wanted).await.must(format_args!("create namespace {name}"));
    name
}

/// What differs, in words.
pub fn difference(wanted: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> Vec<String> {
    let missing = wanted.keys().filter(|id| !found.contains_key(*id)).map(|id| format!("{id} is missing"));
    let orphans = found.keys().filter(|id| !wanted.contains_key(*id)).map(|id| format!("{id} is not wanted"));
    let other = wanted.iter().filter_map(|(id, child)| {
        let found = found.get(id).filter(|found| *found != child)?;
        Some(format!("{id} is {found:#}, not {child:#}"))
    });
    missing.chain(orphans).chain(other).collect()
}
