//! The `ConfigMap` with the nodes' manifest.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use ssefleet_crds::{
    SseStream,
    names::{self, Component},
};

use super::metadata;
use crate::{
    controller::Wanted,
    watch::{Child, Stores},
};

/// The key, and the file's name in the pods.
pub const FILE: &str = "stream.yaml";

pub fn config(wanted: &Wanted) -> ConfigMap {
    ConfigMap {
        metadata: metadata(wanted, names::node(&wanted.stream.name), Component::Node),
        data: Some([(FILE.to_owned(), wanted.manifest.text.clone())].into()),
        ..Default::default()
    }
}

/// The manifest that the nodes have now, as the watches have seen it.
pub fn present(stream: &SseStream, stores: &Stores) -> Option<String> {
    let reference = ObjectRef::new(&names::node(&stream.name_any())).within(&stream.namespace().unwrap_or_default());
    let config = ConfigMap::store(stores).get(&reference)?;
    config.data.as_ref()?.get(FILE).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    #[test]
    fn managed_redis_is_told_by_its_address() {
        insta::assert_snapshot!(golden(&config(&fixtures::managed())));
    }

    #[test]
    fn replicas_are_told_by_their_sentinels() {
        insta::assert_snapshot!(golden(&config(&fixtures::replicated())));
    }

    #[test]
    fn the_edge_is_passed_on() {
        insta::assert_snapshot!(golden(&config(&fixtures::edge())));
    }

    #[test]
    fn memory_keeps_its_one_replica() {
        insta::assert_snapshot!(golden(&config(&fixtures::memory())));
    }

    #[test]
    fn external_redis_is_passed_on() {
        insta::assert_snapshot!(golden(&config(&fixtures::external())));
    }

    #[test]
    fn sentinels_are_passed_on() {
        insta::assert_snapshot!(golden(&config(&fixtures::sentinels())));
    }

    #[test]
    fn a_cluster_is_passed_on() {
        insta::assert_snapshot!(golden(&config(&fixtures::cluster())));
    }
}
