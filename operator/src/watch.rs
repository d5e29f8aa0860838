//! What the operator knows of the cluster: one store for each kind of child, filled by a watch of the objects that
//! carry our label. Reads come from here; a change of a child by anyone comes back as a trigger of its stream.
//!
//! Secrets are not among them: a watch would need the right to list every Secret of the cluster.

use std::fmt::Debug;

use futures_util::Stream;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{ConfigMap, Service, ServiceAccount},
        networking::v1::Ingress,
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Api, Client, Resource,
    runtime::{
        Controller, Predicate, PredicateConfig, WatchStreamExt, predicates,
        reflector::{self, ObjectRef, Store, store::WriterDropped},
        watcher,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use ssefleet_crds::{SseStream, names};

/// A kind of child that the operator applies, watches and prunes.
pub trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + k8s_openapi::Resource
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    fn store(stores: &Stores) -> &Store<Self>;
}

macro_rules! stores {
    ($($field:ident: $kind:ident),* $(,)?) => {
        /// What the watches have seen, by kind. Without managed fields, which would be half of it.
        pub struct Stores {
            $($field: Store<$kind>,)*
        }

        impl Stores {
            /// Starts nothing yet: the watches run as long as the controller does.
            pub fn new(
                client: &Client,
                namespace: Option<&str>,
                triggers: impl Stream<Item = ObjectRef<SseStream>> + Send + 'static,
            ) -> (Self, Controller<SseStream>) {
                let (streams, changed) = watch(api::<SseStream>(client, namespace), watcher::Config::default());
                // A new status is our own doing: only a new generation is news, and an annotation, which may pause us.
                let news = predicates::generation.combine(predicates::annotations);
                let changed = changed.predicate_filter(news, PredicateConfig::default());
                let mut controller = Controller::for_stream(changed, streams).reconcile_on(triggers);
                let ours = watcher::Config::default().labels(&format!("{}={}", names::MANAGED_BY, names::OPERATOR));
                $(
                    let ($field, changed) = watch(api::<$kind>(client, namespace), ours.clone());
                    controller = controller.owns_stream(changed);
                )*
                (Self { $($field,)* }, controller)
            }

            /// Waits until every watch has seen all there is; from then on this returns at once.
            pub async fn filled(&self) -> Result<(), WriterDropped> {
                $(self.$field.wait_until_ready().await?;)*
                Ok(())
            }
        }

        $(impl Child for $kind {
            fn store(stores: &Stores) -> &Store<Self> {
                &stores.$field
            }
        })*
    };
}

stores! {
    service_accounts: ServiceAccount,
    config_maps: ConfigMap,
    services: Service,
    stateful_sets: StatefulSet,
    deployments: Deployment,
    disruption_budgets: PodDisruptionBudget,
    ingresses: Ingress,
}

pub fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
) -> (Store<K>, impl Stream<Item = Result<K, watcher::Error>> + Send + 'static)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let changed = watcher(api, config)
        .default_backoff()
        .modify(|object| object.meta_mut().managed_fields = None)
        .reflect(writer)
        .touched_objects();
    (store, changed)
}
