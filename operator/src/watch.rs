//! What the operator knows of the cluster: one store for each kind of child, filled by a watch of the objects that
//! carry our label. Reads come from here; a change of a child by anyone comes back as a trigger of its stream.
//!
//! Secrets are not among them: a watch would need the right to list every Secret of the cluster.

use std::{fmt::Debug, future::ready, sync::Arc};

use futures_util::{Stream, StreamExt};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
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
use tokio::sync::OnceCell;

use crate::{
    optional::{self, Optional},
    relist::{after_success, joined},
    slim::slim,
};

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
        /// What the watches have seen, by kind, as much as is looked at.
        pub struct Stores {
            pub streams: Store<SseStream>,
            filled: OnceCell<()>,
            $($field: Store<$kind>,)*
            /// Those of kinds that not every cluster has.
            pub optional: Arc<Optional>,
        }

        impl Stores {
            /// Starts nothing yet: the watches run as long as the controller does.
            pub fn new(
                client: &Client,
                namespaces: &[String],
                triggers: impl Stream<Item = ObjectRef<SseStream>> + Send + 'static,
            ) -> (Self, Controller<SseStream>) {
                let (streams, changed) = watch::<SseStream>(client, namespaces, &watcher::Config::default(), |_| {});
                // A new status is our own doing: only a new generation is news, and an annotation, which may pause us.
                let news = predicates::generation.combine(predicates::annotations);
                let changed = changed.predicate_filter(news, PredicateConfig::default());
                let mut controller = Controller::for_stream(changed, streams.clone()).reconcile_on(triggers);
                let ours = watcher::Config::default().labels(&format!("{}={}", names::MANAGED_BY, names::OPERATOR));
                $(
                    let ($field, changed) = watch::<$kind>(client, namespaces, &ours, slim);
                    controller = controller.owns_stream(changed);
                )*
                let (optional, triggers) = Optional::new(client, namespaces);
                controller = controller
                    .owns_stream_with(triggers.touched, optional::any_resource())
                    .reconcile_all_on(triggers.kinds);
                (Self { streams, filled: OnceCell::new(), $($field,)* optional }, controller)
            }

            /// Waits until every watch has seen all there is; from then on this returns at once. Any number of tasks may
            /// wait here, but a store itself wakes only the last one that asked it.
            pub async fn filled(&self) -> Result<(), WriterDropped> {
                let all = || async {
                    $(self.$field.wait_until_ready().await?;)*
                    Ok(())
                };
                self.filled.get_or_try_init(all).await.copied()
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
    horizontal_pod_autoscalers: HorizontalPodAutoscaler,
    ingresses: Ingress,
    network_policies: NetworkPolicy,
}

/// A failed watch is tried again after a backoff of its own. The controller must not hear of it: it would stop listening to
/// all of them, and for longer with each failure; after a cut of all at once, for minutes.
fn heard<K: Resource<DynamicType = ()>>(changed: Result<K, watcher::Error>) -> Option<Result<K, watcher::Error>> {
    match changed {
        Ok(object) => Some(Ok(object)),
        Err(error) => {
            tracing::warn!(kind = %K::kind(&()), %error, "a watch failed; trying again");
            None
        }
    }
}

/// Without namespaces, it watches all of them. `trim` leaves of an object what is to be kept.
pub fn watch<K>(
    client: &Client,
    namespaces: &[String],
    config: &watcher::Config,
    trim: fn(&mut K),
) -> (Store<K>, impl Stream<Item = Result<K, watcher::Error>> + Send + use<K>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    // Small pages: what one takes while it is read stays with the process.
    let config = config.clone().page_size(100);
    let begin = |api: Api<K>| {
        after_success(watcher(api, config.clone())).default_backoff().modify(move |object: &mut K| {
            object.meta_mut().managed_fields = None;
            trim(object);
        })
    };
    let watches = match namespaces {
        [] => vec![(None, begin(Api::all(client.clone())))],
        names => names.iter().map(|name| (Some(name.clone()), begin(Api::namespaced(client.clone(), name)))).collect(),
    };
    let changed = joined(watches, store.clone()).reflect(writer).touched_objects();
    (store, changed.filter_map(|changed| ready(heard(changed))))
}
