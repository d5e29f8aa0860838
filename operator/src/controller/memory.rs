//! What the operator remembers of each stream between reconciles. Nothing here outlives the process: a restart costs
//! one server-side apply for each child, which changes nothing on the server.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use ssefleet_crds::{SseStream, SseStreamStatus};

/// What is remembered of each stream.
#[derive(Default)]
pub(crate) struct Memory(Mutex<HashMap<Key, Remembered>>);

/// Namespace and name.
type Key = (String, String);

#[derive(Default)]
struct Remembered {
    /// Failures in a row.
    failures: u32,
    /// What each child looked like when the server answered our last apply, by a digest of kind and name: with a thousand
    /// streams the names themselves would take megabytes.
    children: HashMap<u64, u64>,
    /// The status that was written last, and the resource version that it was computed from.
    status: Option<(Option<String>, SseStreamStatus)>,
    /// Pods are marked as those that are to go.
    marked: bool,
}

impl Memory {
    pub fn succeeded(&self, stream: &SseStream) {
        if let Some(remembered) = self.0.lock().get_mut(&key(stream)) {
            remembered.failures = 0;
        }
    }

    /// Counts a failure; returns how many there were in a row.
    pub fn failed(&self, stream: &SseStream) -> u32 {
        let mut memory = self.0.lock();
        let remembered = memory.entry(key(stream)).or_default();
        remembered.failures = remembered.failures.saturating_add(1);
        remembered.failures
    }

    /// Whether the child still looks as it did after our last apply.
    pub fn settled(&self, stream: &SseStream, kind: &'static str, name: &str, fingerprint: u64) -> bool {
        let memory = self.0.lock();
        let children = memory.get(&key(stream)).map(|remembered| &remembered.children);
        children.and_then(|children| children.get(&digest(kind, name))) == Some(&fingerprint)
    }

    pub fn applied(&self, stream: &SseStream, kind: &'static str, name: &str, fingerprint: u64) {
        self.0.lock().entry(key(stream)).or_default().children.insert(digest(kind, name), fingerprint);
    }

    /// The stream's status as the server has it. The watch may not have brought our last write back yet; then it is
    /// the one that was written.
    pub fn current_status(&self, stream: &SseStream) -> SseStreamStatus {
        let mut memory = self.0.lock();
        let written = memory.get_mut(&key(stream)).map(|remembered| &mut remembered.status);
        match written.as_ref().and_then(|written| written.as_ref()) {
            Some((seen, written)) if *seen == stream.metadata.resource_version => return written.clone(),
            _ => {}
        }
        if let Some(written) = written {
            *written = None; // the watch has brought it, or what came after it
        }
        // The figures are written by another hand, see `nodes::figures`.
        SseStreamStatus { connections: None, events_published: None, ..stream.status.clone().unwrap_or_default() }
    }

    pub fn status_written(&self, stream: &SseStream, status: SseStreamStatus) {
        let seen = stream.metadata.resource_version.clone();
        self.0.lock().entry(key(stream)).or_default().status = Some((seen, status));
    }

    pub fn marked(&self, stream: &SseStream) {
        self.0.lock().entry(key(stream)).or_default().marked = true;
    }

    /// Whether pods were marked since this was asked last.
    pub fn take_marked(&self, stream: &SseStream) -> bool {
        self.0.lock().get_mut(&key(stream)).is_some_and(|remembered| std::mem::take(&mut remembered.marked))
    }

    pub fn forget<K>(&self, gone: &ObjectRef<K>)
    where
        K: kube::runtime::reflector::Lookup,
        K::DynamicType: std::hash::Hash,
        ObjectReference: From<ObjectRef<K>>,
    {
        self.0.lock().remove(&(gone.namespace.clone().unwrap_or_default(), gone.name.clone()));
    }
}

fn digest(kind: &str, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, name).hash(&mut hasher);
    hasher.finish()
}

fn key(stream: &SseStream) -> Key {
    (stream.metadata.namespace.clone().unwrap_or_default(), stream.metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_watch_does_not_hide_the_status_written_last() {
        let memory = Memory::default();
        let mut stream = SseStream::default();
        stream.metadata.resource_version = Some("7".into());
        let written = SseStreamStatus { ready_replicas: 2, ..Default::default() };
        memory.status_written(&stream, written.clone());
        assert_eq!(memory.current_status(&stream), written);
        stream.metadata.resource_version = Some("8".into());
        stream.status = Some(SseStreamStatus { connections: Some(3), events_published: Some(4), ..Default::default() });
        assert_eq!(memory.current_status(&stream), SseStreamStatus::default());
    }

    #[test]
    fn a_success_ends_the_row_of_failures() {
        let (memory, stream) = (Memory::default(), SseStream::default());
        assert_eq!((memory.failed(&stream), memory.failed(&stream)), (1, 2));
        memory.succeeded(&stream);
        assert_eq!(memory.failed(&stream), 1);
    }
}
