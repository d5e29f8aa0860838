//! The pods of nodes, as a watch of their own tells of them: only what is needed of each is kept, which is little. A pod's
//! change triggers nothing; what matters of it shows in its Deployment, or when the node is asked next.

use std::time::Instant;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{
    Client, ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use ssefleet_crds::{
    SseStream,
    names::{self, Component},
};
use tokio::sync::watch;

use super::report::Report;

/// The pods of all streams' nodes.
pub struct Pods {
    store: Store<Pod>,
    /// Whether all are known. Not the store's own word: that wakes only the last of several who wait for it.
    filled: watch::Receiver<bool>,
}

impl Pods {
    /// And what must run for them to be known.
    pub fn watch(client: &Client, namespaces: &[String]) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let component = names::COMPONENT;
        let of_nodes = format!("{}={},{component}={}", names::MANAGED_BY, names::OPERATOR, Component::Node.as_str());
        let (store, changed) =
            crate::watch::watch(client, namespaces, &watcher::Config::default().labels(&of_nodes), trim);
        let watching = changed.for_each(|_| std::future::ready(()));
        let (known, filled) = watch::channel(false);
        let all = store.clone();
        let filling = async move {
            known.send_replace(all.wait_until_ready().await.is_ok());
            std::future::pending::<()>().await; // dropping it would end who waits
        };
        let both = async move {
            tokio::join!(watching, filling);
        };
        (Self { store, filled }, both)
    }

    /// Waits until they are known.
    pub async fn filled(&self) -> Result<(), watch::error::RecvError> {
        self.filled.clone().wait_for(|filled| *filled).await.map(drop)
    }

    /// Those of one stream that have not ended.
    pub fn of(&self, stream: &ObjectRef<SseStream>) -> Vec<Report> {
        let now = Instant::now();
        let labels = names::selector(&stream.name, Component::Node);
        let is_of_stream = |pod: &Pod| {
            pod.metadata.namespace == stream.namespace
                && labels.iter().all(|(name, value)| pod.labels().get(name) == Some(value))
                && !pod.status.as_ref().and_then(|status| status.phase.as_deref()).is_some_and(has_ended)
        };
        self.store.state_filter(is_of_stream).iter().map(|pod| Report::of(pod, now)).collect()
    }
}

fn has_ended(phase: &str) -> bool {
    ["Succeeded", "Failed"].contains(&phase)
}

/// Only what [`Report::of`] and [`Pods::of`] look at.
fn trim(pod: &mut Pod) {
    pod.spec = None;
    pod.metadata.owner_references = None;
    if let Some(annotations) = &mut pod.metadata.annotations {
        annotations.retain(|name, _| [super::PROMPT, super::DELETION_COST].contains(&&**name));
    }
    let status = pod.status.take().unwrap_or_default();
    let mut conditions = status.conditions;
    if let Some(conditions) = &mut conditions {
        conditions.retain(|condition| condition.type_ == "Ready");
    }
    pod.status = Some(PodStatus { phase: status.phase, pod_ip: status.pod_ip, conditions, ..Default::default() });
}
