//! The `ConfigMap` with the nodes' manifest.

use k8s_openapi::api::core::v1::ConfigMap;
use ssefleet_crds::names::{self, Component};

use super::metadata;
use crate::controller::Wanted;

/// The key, and the file's name in the pods.
pub(super) const FILE: &str = "stream.yaml";

pub fn config(wanted: &Wanted) -> ConfigMap {
    ConfigMap {
        metadata: metadata(wanted, names::node(&wanted.stream.name), Component::Node),
        data: Some([(FILE.to_owned(), wanted.manifest.text.clone())].into()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{build::golden, fixtures};

    #[test]
    fn managed_redis_is_told_by_its_address() {
        insta::assert_snapshot!(golden(&config(&fixtures::managed())));
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
}
