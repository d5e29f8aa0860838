//! The cluster as a test gets it: with the chart installed, and to itself where it asks for that.

use std::{fmt::Debug, sync::Arc, time::Duration};

use k8s_openapi::{NamespaceResourceScope, api::core::v1::Pod};
use kube::{Api, Client, Resource, ResourceExt, api::ListParams};
use serde::{Serialize, de::DeserializeOwned};

use crate::{must::Must, namespace, release, settings::Settings, turns::Turn, wait};

/// What every type of Kubernetes object is.
pub trait Object: Resource<DynamicType = ()> + Clone + Debug + Send + Serialize + DeserializeOwned + 'static {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + Send + Serialize + DeserializeOwned + 'static> Object for K {}

/// How anything here reaches the cluster. Cheap to clone; each test has its own, as a client belongs to the
/// runtime that it was made in.
#[derive(Clone)]
pub struct Access {
    pub client: Client,
    pub settings: Arc<Settings>,
}

impl Access {
    /// The namespaced objects of one kind.
    pub fn api<K: Object + Resource<Scope = NamespaceResourceScope>>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// A cluster with the chart installed, for as long as a test holds it.
pub struct Cluster {
    pub access: Access,
    turn: Option<Turn>,
}

/// The cluster, shared with other tests.
pub async fn cluster() -> Cluster {
    let settings = Settings::from_env();
    let turn = Some(Turn::shared().await);
    let client = Client::try_default().await.must("use the cluster that KUBECONFIG names");
    let access = Access { client, settings: Arc::new(settings) };
    release::installed(&access).await;
    Cluster { access, turn }
}

/// Longer than the default drain of a stream's pods.
const LEFTOVERS: Duration = Duration::from_mins(2);

impl Cluster {
    /// Waits until no other test runs and what they made is gone; from here on the cluster is this test's alone. What
    /// needs no quiet is best done before, beside the others.
    pub async fn alone(&mut self) {
        self.turn = None; // who waits with a turn in hand waits for ever
        self.turn = Some(Turn::alone().await);
        // Their namespaces stay for longer: Kubernetes looks again only after half of a pod's grace period.
        let pods: Api<Pod> = Api::all(self.access.client.clone());
        let of_streams = ListParams::default().labels("app.kubernetes.io/name=ssefleet");
        let met = |pods: &[Pod]| !pods.iter().any(|pod| pod.namespace().is_some_and(|name| namespace::is_left(&name)));
        wait::until_list(&pods, of_streams, "the pods of earlier tests are gone", LEFTOVERS, met).await;
    }

    /// Lets the others on again, where the rest of a test does not mind them.
    pub fn share(&mut self) {
        self.turn.iter_mut().for_each(Turn::share);
    }

    /// A namespace for one test, which is gone when it is dropped. `purpose` goes into its name.
    pub async fn namespace(&self, purpose: &str) -> namespace::Namespace {
        namespace::Namespace::new(self.access.clone(), purpose).await
    }
}
