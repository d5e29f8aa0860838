//! Kinds of children that a cluster may have or not: those of CRDs that others install. Which of them are there is
//! looked up every half a minute; those that are, are watched, and a stream that wants one is reconciled when it
//! appears or goes. So a CRD that comes later needs no restart of the operator, and one that never comes costs nothing.

mod kind;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, Stream, StreamExt, stream::unfold};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store::Writer},
        watcher,
    },
};
use parking_lot::RwLock;
use ssefleet_crds::names;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

pub use self::kind::Kind;
use crate::relist::after_success;

/// How often it is looked which kinds there are.
const LOOK: Duration = Duration::from_secs(30);

/// Which kinds the cluster has.
pub type Present = BTreeSet<Kind>;

/// The optional kinds that are there, each with what its watch has seen.
pub(crate) struct Optional {
    client: Client,
    /// The namespaces that are watched; none: all.
    namespaces: Vec<String>,
    watched: RwLock<BTreeMap<Kind, Vec<Watched>>>,
    /// Objects that were touched, for the controller.
    touched: mpsc::UnboundedSender<DynamicObject>,
    /// What was found last; `None` before the first look.
    found: watch::Sender<Option<Present>>,
}

/// A watch of one namespace, or of all.
struct Watched {
    namespace: Option<String>,
    store: Store<DynamicObject>,
    _task: AbortOnDropHandle<()>,
}

/// What the controller is to listen to.
pub(crate) struct Triggers<T, C> {
    /// An object was touched, by anyone.
    pub touched: T,
    /// There are other kinds than before.
    pub kinds: C,
}

impl Optional {
    pub fn new(
        client: &Client,
        namespaces: &[String],
    ) -> (
        Arc<Self>,
        Triggers<
            impl Stream<Item = Result<DynamicObject, watcher::Error>> + Send + use<>,
            impl Stream<Item = ()> + Send + use<>,
        >,
    ) {
        let (touched, receiver) = mpsc::unbounded_channel();
        let (found, changes) = watch::channel(None);
        let touched_objects =
            unfold(receiver, |mut receiver| async { receiver.recv().await.map(|object| (Ok(object), receiver)) });
        let kinds = unfold(changes, |mut changes| async { changes.changed().await.ok().map(|()| ((), changes)) });
        let optional =
            Self { client: client.clone(), namespaces: namespaces.into(), watched: RwLock::default(), touched, found };
        (Arc::new(optional), Triggers { touched: touched_objects, kinds })
    }

    /// Looks again and again. Never returns.
    pub async fn follow(&self) {
        loop {
            let found = self.look().await;
            self.watch(&found);
            self.found.send_if_modified(|last| {
                let changed = last.as_ref() != Some(&found);
                if changed {
                    let names: Vec<_> = found.iter().map(|kind| kind.name()).collect();
                    tracing::info!(kinds = names.join(", "), "optional kinds that this cluster has");
                    *last = Some(found);
                }
                changed
            });
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The kinds that were found last; waits for the first look.
    pub async fn present(&self) -> Present {
        let mut found = self.found.subscribe();
        match found.wait_for(Option::is_some).await {
            Ok(found) => found.clone().unwrap_or_default(),
            Err(_) => Present::new(),
        }
    }

    /// What the watch has of this object: nothing before it has seen all there are.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<DynamicObject>> {
        let watched = self.watched.read();
        let of_namespace = |watched: &&Watched| watched.namespace.as_deref().is_none_or(|watched| watched == namespace);
        let watched = watched.get(&kind)?.iter().find(of_namespace)?;
        watched.store.get(&ObjectRef::new_with(name, kind.resource()).within(namespace))
    }

    pub fn filter(&self, kind: Kind, met: impl Fn(&DynamicObject) -> bool) -> Vec<Arc<DynamicObject>> {
        let watched = self.watched.read();
        watched.get(&kind).into_iter().flatten().flat_map(|watched| watched.store.state_filter(&met)).collect()
    }

    /// A group that cannot be asked for is as it was.
    async fn look(&self) -> Present {
        let last = self.found.borrow().clone().unwrap_or_default();
        let mut asking: JoinSet<Present> = JoinSet::new();
        for version in Kind::ALL.map(Kind::api_version).into_iter().collect::<BTreeSet<_>>() {
            let (client, last) = (self.client.clone(), last.clone());
            asking.spawn(async move {
                let of_version = Kind::ALL.into_iter().filter(|kind| kind.api_version() == version);
                match client.list_api_group_resources(version).await {
                    Ok(found) => {
                        of_version.filter(|kind| found.resources.iter().any(|r| r.name == kind.plural())).collect()
                    }
                    Err(kube::Error::Api(status)) if status.code == 404 => Present::new(),
                    Err(error) => {
                        tracing::warn!(%error, version, "can't ask which kinds there are; trying again");
                        of_version.filter(|kind| last.contains(kind)).collect()
                    }
                }
            });
        }
        asking.join_all().await.into_iter().flatten().collect()
    }

    /// Begins to watch what is new, and ends the watches of what is gone.
    fn watch(&self, found: &Present) {
        let mut watched = self.watched.write();
        watched.retain(|kind, _| found.contains(kind));
        for &kind in found {
            watched.entry(kind).or_insert_with(|| match &*self.namespaces {
                [] => vec![self.begin(kind, None)],
                names => names.iter().map(|name| self.begin(kind, Some(name))).collect(),
            });
        }
    }

    fn begin(&self, kind: Kind, namespace: Option<&String>) -> Watched {
        let resource = kind.resource();
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let writer = Writer::new(resource);
        let store = writer.as_reader();
        let ours = watcher::Config::default().labels(&format!("{}={}", names::MANAGED_BY, names::OPERATOR));
        let touched = self.touched.clone();
        let following = after_success(watcher(api, ours))
            .default_backoff()
            .modify(|object| object.managed_fields_mut().clear())
            .reflect(writer)
            .touched_objects()
            .for_each(move |object| {
                match object {
                    Ok(object) => drop(touched.send(object)),
                    Err(error) => tracing::warn!(%error, kind = kind.name(), "a watch failed; trying again"),
                }
                std::future::ready(())
            });
        Watched {
            namespace: namespace.cloned(),
            store,
            _task: AbortOnDropHandle::new(tokio::spawn(following.map(drop))),
        }
    }
}

/// The kind that the controller is told of touched objects of any kind: it looks at their owners only.
pub(crate) fn any_resource() -> ApiResource {
    Kind::HttpRoute.resource()
}
