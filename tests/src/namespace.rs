//! A namespace for one test, at the `restricted` Pod Security level, removed when the test is over.

use std::{collections::BTreeSet, sync::Mutex, thread};

use k8s_openapi::api::core::v1::{Namespace as KubeNamespace, Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use ssefleet_crds::SseStream;

use crate::{cluster::Access, manifest, must::Must, report, stream::Stream};

/// How the names of tests' namespaces begin.
const PREFIX: &str = "e2e-";

/// Those of tests that run.
static HELD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Whether a test made the namespace of this name, and is over.
pub(crate) fn is_left(name: &str) -> bool {
    name.starts_with(PREFIX) && !HELD.lock().must("know the namespaces of tests").contains(name)
}

/// A namespace for one test. Dropped, it goes with all that is in it; if the test failed, it first says what that was.
pub struct Namespace {
    pub access: Access,
    pub name: String,
}

impl Namespace {
    pub(crate) async fn new(access: Access, purpose: &str) -> Self {
        let name = format!("{PREFIX}{purpose}-{:04x}", fastrand::u16(..));
        let namespaces: Api<KubeNamespace> = Api::all(access.client.clone());
        let wanted = json!({"metadata": {
            "name": name,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        }});
        let wanted = serde_json::from_value(wanted).must("write a namespace");
        namespaces.create(&PostParams::default(), &wanted).await.must(format_args!("create namespace {name}"));
        HELD.lock().must("know the namespaces of tests").insert(name.clone());
        Self { access, name }
    }

    /// Applies a stream, fitted to the cluster, as `kubectl apply --server-side` does.
    pub async fn apply(&self, mut wanted: Value) -> Stream {
        let host = manifest::fit(&mut wanted, &self.name, &self.access.settings);
        let name = wanted["metadata"]["name"].as_str().must("apply a stream without a name").to_owned();
        let streams: Api<SseStream> = self.access.api(&self.name);
        streams
            .patch(&name, &PatchParams::apply("e2e").force(), &Patch::Apply(&wanted))
            .await
            .must(format_args!("apply stream {name}"));
        Stream::new(self.access.clone(), &self.name, &name, host)
    }

    /// Creates a Secret with these keys.
    pub async fn create_secret(&self, name: &str, keys: &[(&str, &str)]) {
        let secrets: Api<Secret> = self.access.api(&self.name);
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.into());
        secret.string_data = Some(keys.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect());
        secrets.create(&PostParams::default(), &secret).await.must(format_args!("create Secret {name}"));
    }

    /// Merges a patch into a Secret, as `kubectl patch` does.
    pub async fn edit_secret(&self, name: &str, patch: Value) {
        let secrets: Api<Secret> = self.access.api(&self.name);
        let patched = secrets.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.must(format_args!("edit Secret {name}"));
    }
}

impl Drop for Namespace {
    /// In a runtime of its own, as the test's may be ending.
    fn drop(&mut self) {
        let (name, failed) = (self.name.clone(), thread::panicking());
        let ending = thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                let Ok(client) = Client::try_default().await else { return };
                if failed {
                    report::print(&client, &name).await;
                }
                // Streams first: a namespace that ends takes them last, and the operator would try to repair them until then.
                let streams: Api<SseStream> = Api::namespaced(client.clone(), &name);
                streams.delete_collection(&DeleteParams::default(), &ListParams::default()).await.ok();
                let namespaces: Api<KubeNamespace> = Api::all(client);
                if let Err(cause) = namespaces.delete(&name, &DeleteParams::default()).await {
                    eprintln!("namespace {name} is left behind: {cause}");
                }
            });
            if let Ok(mut held) = HELD.lock() {
                held.remove(&name);
            }
        });
        ending.join().ok();
    }
}
