//! Waiting for the cluster by watching it. Each wait has an end, and then says what it last saw.

use std::{collections::BTreeMap, time::Duration};

use futures_util::TryStreamExt;
use kube::{
    Api, ResourceExt,
    api::ListParams,
    runtime::{wait::await_condition, watcher},
};
use tokio::time::timeout;

use crate::{cluster::Object, must::Must};

/// Waits until `met` holds for the object `name`, which it is given as `None` while there is none.
/// `what` completes the sentence "waited in vain until …".
pub async fn until<K: Object>(
    api: &Api<K>,
    name: &str,
    what: &str,
    within: Duration,
    met: impl Fn(Option<&K>) -> bool,
) -> Option<K> {
    let watching = await_condition(api.clone(), name, |object: Option<&K>| met(object));
    if let Ok(outcome) = timeout(within, watching).await {
        return outcome.must(format_args!("watch {name} until {what}"));
    }
    let last = api.get_opt(name).await.must(format_args!("read {name}"));
    panic!("waited {} s in vain until {what}; {name} is {}", within.as_secs(), shown(last.as_ref()));
}

/// Waits until there is no object `name`.
pub async fn until_gone<K: Object>(api: &Api<K>, name: &str, within: Duration) {
    until(api, name, &format!("{name} is gone"), within, |object| object.is_none()).await;
}

/// Waits until `met` holds for all the objects that `selected` finds, ordered by name.
pub async fn until_list<K: Object>(
    api: &Api<K>,
    selected: ListParams,
    what: &str,
    within: Duration,
    met: impl Fn(&[K]) -> bool,
) -> Vec<K> {
    let config = watcher::Config { label_selector: selected.label_selector, ..watcher::Config::default() };
    let mut seen = BTreeMap::new();
    let key = |object: &K| (object.namespace(), object.name_any());
    let watching = async {
        let mut events = std::pin::pin!(watcher(api.clone(), config));
        let mut listed = false;
        loop {
            match events.try_next().await.must(format_args!("watch until {what}")) {
                Some(watcher::Event::Init) => {
                    seen.clear();
                    listed = false;
                }
                Some(watcher::Event::InitDone) => listed = true,
                Some(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => {
                    seen.insert(key(&object), object);
                }
                Some(watcher::Event::Delete(object)) => {
                    seen.remove(&key(&object));
                }
                None => panic!("the watch ended before {what}"),
            }
            let objects: Vec<K> = seen.values().cloned().collect();
            if listed && met(&objects) {
                return objects;
            }
        }
    };
    if let Ok(objects) = timeout(within, watching).await {
        return objects;
    }
    let objects: Vec<_> = seen.values().map(|object| shown(Some(object))).collect();
    panic!("waited {} s in vain until {what}; there are: {}", within.as_secs(), objects.join("\n"));
}

/// The parts of an object that explain a wait: its status, and its metadata without the bookkeeping.
fn shown<K: Object>(object: Option<&K>) -> String {
    let Some(object) = object else { return "not there".into() };
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    format!("{} {:#}", object.name_any(), value)
}
