//! `redis.conf`. <https://valkey.io/topics/valkey.conf/>

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::util::intstr::IntOrString};
use ssefleet_crds::{
    names::{self, Component},
    units,
};

use super::{super::metadata, AUTH, FILES, MEMORY_LIMIT, PORT};
use crate::controller::{Wanted, validate::Redis};

/// The key, and the file's name in the pod.
pub(super) const FILE: &str = "redis.conf";

pub fn config(wanted: &Wanted, redis: &Redis) -> ConfigMap {
    ConfigMap {
        metadata: metadata(wanted, names::redis(&wanted.stream.name), Component::Redis),
        data: Some([(FILE.to_owned(), text(redis))].into()),
        ..Default::default()
    }
}

pub(super) fn text(redis: &Redis) -> String {
    // A quarter stays for buffers and for what a rewrite of the append-only file copies. noeviction: a full Redis
    // refuses events, which publishers see; evicting would lose the whole log, as it is one key.
    let maxmemory = memory_limit(redis).map_or_else(String::new, |limit| format!("maxmemory {}\n", limit / 4 * 3));
    format!(
        "\
# Written by sse-operator; changes here are undone.
port {PORT}
protected-mode no
include {FILES}/{AUTH}
dir /data
appendonly yes
appendfsync everysec
aof-use-rdb-preamble yes
save \"\"
{maxmemory}maxmemory-policy noeviction
"
    )
}

/// In bytes; `None` when the stream gives resources without a memory limit.
fn memory_limit(redis: &Redis) -> Option<u64> {
    match &redis.spec.resources {
        Some(resources) => units::bytes(resources.limits.get("memory")?),
        None => units::bytes(&IntOrString::String(MEMORY_LIMIT.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{build::golden, fixtures};

    #[test]
    fn appends_and_never_evicts() {
        let wanted = fixtures::managed();
        insta::assert_snapshot!(golden(&config(&wanted, wanted.redis.as_ref().unwrap())));
    }

    #[test]
    fn keeps_under_three_quarters_of_its_memory_limit() {
        let text = |resources: &str| {
            let spec = format!("broker: {{redis: {{managed: {{resources: {resources}}}}}}}");
            super::text(&fixtures::wanted(fixtures::yaml(&spec)).redis.unwrap())
        };
        assert!(text("{limits: {memory: 4Gi}}").contains("maxmemory 3221225472\n"));
        assert!(!text("{requests: {memory: 4Gi}}").contains("maxmemory "));
    }
}
