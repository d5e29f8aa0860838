//! Several watches as one: of one kind, in each of some namespaces. A store, and the controller behind it, must not be
//! told of the first list until all have been read; and a list that is read again later must not empty it of what the
//! other namespaces hold.
//!
//! A list is read again after a watch was lost for too long («410 Gone»). What has vanished by then is told as deleted,
//! with or without several namespaces: else the stream whose child it was would not hear of it.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Debug,
    future::ready,
};

use futures_util::{Stream, StreamExt, stream};
use kube::{
    Resource,
    runtime::{
        reflector::Store,
        watcher::{Error, Event},
    },
};

/// Namespace and name.
type Key = (Option<String>, Option<String>);

/// Holds back the word that a list begins until something of it has come. A backoff takes it for a success, and would never
/// grow while lists fail.
pub fn after_success<K, S>(watch: S) -> impl Stream<Item = Result<Event<K>, Error>> + Send + 'static
where
    K: Send + 'static,
    S: Stream<Item = Result<Event<K>, Error>> + Send + 'static,
{
    let told = watch.scan(false, |begun, event| {
        ready(Some(match event {
            Ok(Event::Init) => {
                *begun = true;
                Vec::new()
            }
            Ok(event) if std::mem::take(begun) => vec![Ok(Event::Init), Ok(event)],
            Ok(event) => vec![Ok(event)],
            Err(error) => {
                *begun = false;
                vec![Err(error)]
            }
        }))
    });
    told.flat_map(stream::iter)
}

/// Joins watches, each of the namespace that it is given with; `None` is all of them. `store` is what the joined stream
/// is reflected into.
pub fn joined<K, S>(
    watches: Vec<(Option<String>, S)>,
    store: Store<K>,
) -> impl Stream<Item = Result<Event<K>, Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    S: Stream<Item = Result<Event<K>, Error>> + Send + 'static,
{
    let (namespaces, watches): (Vec<_>, Vec<_>) = watches.into_iter().unzip();
    let numbered = watches.into_iter().enumerate().map(|(n, watch)| watch.map(move |event| (n, event)).boxed());
    let mut join = Join::new(namespaces, store);
    stream::select_all(numbered).flat_map(move |(n, event)| {
        stream::iter(match event {
            Ok(event) => join.next(n, event).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    })
}

struct Join<K: Resource<DynamicType = ()> + Clone + 'static> {
    sources: Vec<Source<K>>,
    store: Store<K>,
    /// Every source has been listed, and that was told.
    begun: bool,
}

struct Source<K> {
    namespace: Option<String>,
    listed: bool,
    /// Before all have begun: what is there.
    first: BTreeMap<Key, K>,
    /// While a list is read again: what was in it so far.
    again: HashSet<Key>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Join<K> {
    fn new(namespaces: Vec<Option<String>>, store: Store<K>) -> Self {
        let source = |namespace| Source { namespace, listed: false, first: BTreeMap::new(), again: HashSet::default() };
        Self { sources: namespaces.into_iter().map(source).collect(), store, begun: false }
    }

    /// What is to be told when the `n`th watch says `event`.
    fn next(&mut self, n: usize, event: Event<K>) -> Vec<Event<K>> {
        let Some(source) = self.sources.get_mut(n) else { return Vec::new() };
        if self.begun {
            return source.later(event, &self.store);
        }
        source.before(event);
        if !self.sources.iter().all(|source| source.listed) {
            return Vec::new();
        }
        self.begun = true;
        let all = self.sources.iter_mut().flat_map(|source| std::mem::take(&mut source.first).into_values());
        let mut told = vec![Event::Init];
        told.extend(all.map(Event::InitApply));
        told.push(Event::InitDone);
        told
    }
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Source<K> {
    fn before(&mut self, event: Event<K>) {
        match event {
            Event::Init => self.first.clear(),
            Event::InitApply(object) | Event::Apply(object) => {
                self.first.insert(key(&object), object);
            }
            Event::Delete(object) => {
                self.first.remove(&key(&object));
            }
            Event::InitDone => self.listed = true,
        }
    }

    fn later(&mut self, event: Event<K>, store: &Store<K>) -> Vec<Event<K>> {
        match event {
            Event::Init => {
                self.again.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.again.insert(key(&object));
                vec![Event::Apply(object)]
            }
            Event::InitDone => {
                let again = std::mem::take(&mut self.again);
                let mine = |object: &K| self.namespace.is_none() || object.meta().namespace == self.namespace;
                let vanished = store.state_filter(|object| mine(object) && !again.contains(&key(object)));
                vanished.iter().map(|object| Event::Delete(object.as_ref().clone())).collect()
            }
            event => vec![event],
        }
    }
}

fn key<K: Resource>(object: &K) -> Key {
    (object.meta().namespace.clone(), object.meta().name.clone())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector;

    use super::*;

    fn object(namespace: &str, name: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some(namespace.into());
        object.metadata.name = Some(name.into());
        object
    }

    fn told(events: &[Event<ConfigMap>]) -> Vec<String> {
        events.iter().map(ToString::to_string).collect()
    }

    /// Says one event, and lets the store hear what is told.
    struct Joined(Join<ConfigMap>, reflector::store::Writer<ConfigMap>);

    impl Joined {
        fn of(namespaces: &[Option<&str>]) -> Self {
            let (store, writer) = reflector::store();
            Self(Join::new(namespaces.iter().map(|name| name.map(str::to_owned)).collect(), store), writer)
        }

        fn say(&mut self, n: usize, events: impl IntoIterator<Item = Event<ConfigMap>>) -> Vec<String> {
            let mut all = Vec::new();
            for event in events {
                let events = self.0.next(n, event);
                for event in &events {
                    self.1.apply_watcher_event(event);
                }
                all.extend(told(&events));
            }
            all
        }
    }

    #[tokio::test]
    async fn a_list_that_fails_has_not_begun() {
        let failed = || Err(Error::NoResourceVersion);
        let events = [Ok(Event::Init), failed(), Ok(Event::Init), failed(), Ok(Event::Init), Ok(Event::InitDone)];
        let told: Vec<_> = after_success(stream::iter(events))
            .map(|event: Result<Event<ConfigMap>, _>| event.map_or_else(|_| "failed".into(), |event| event.to_string()))
            .collect()
            .await;
        assert_eq!(told, ["failed", "failed", "Init", "InitDone"]);
    }

    #[test]
    fn nothing_is_told_until_every_namespace_is_listed() {
        let mut joined = Joined::of(&[Some("a"), Some("b")]);
        let first = [Event::Init, Event::InitApply(object("a", "x")), Event::InitDone, Event::Apply(object("a", "y"))];
        assert!(joined.say(0, first).is_empty());
        assert!(joined.say(0, [Event::Delete(object("a", "x"))]).is_empty());
        assert!(joined.say(1, [Event::Init, Event::InitApply(object("b", "half"))]).is_empty());
        let again = [Event::Init, Event::InitApply(object("b", "z")), Event::InitDone];
        assert_eq!(joined.say(1, again), ["Init", "InitApply(y)", "InitApply(z)", "InitDone"]);
        assert_eq!(joined.say(0, [Event::Apply(object("a", "w"))]), ["Apply(w)"]);
    }

    #[test]
    fn a_list_that_is_read_again_tells_what_has_vanished_in_its_namespace_alone() {
        let mut joined = Joined::of(&[Some("a"), Some("b")]);
        for (n, namespace) in [(0, "a"), (1, "b")] {
            let objects = ["x", "y"].map(|name| Event::InitApply(object(namespace, name)));
            joined.say(n, [Event::Init].into_iter().chain(objects).chain([Event::InitDone]));
        }
        let again = [Event::Init, Event::InitApply(object("a", "y")), Event::InitDone];
        assert_eq!(joined.say(0, again), ["Apply(y)", "Delete(x)"]);
        assert_eq!(joined.0.store.len(), 3);
    }

    #[test]
    fn with_all_namespaces_it_tells_the_same() {
        let mut joined = Joined::of(&[None]);
        let objects = [object("a", "x"), object("b", "y")].map(Event::InitApply);
        let first = joined.say(0, [Event::Init].into_iter().chain(objects).chain([Event::InitDone]));
        assert_eq!(first, ["Init", "InitApply(x)", "InitApply(y)", "InitDone"]);
        assert_eq!(joined.say(0, [Event::Init, Event::InitDone]).len(), 2);
        assert_eq!(joined.0.store.len(), 0);
    }
}
