//! `redis.conf`, `sentinel.conf` and the scripts that start from them, in one ConfigMap.
//! <https://valkey.io/topics/valkey.conf/>, <https://valkey.io/topics/sentinel/>

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::util::intstr::IntOrString};
use ssefleet_crds::{
    broker::Persistence,
    names::{self, Component},
    units,
};

use super::{super::metadata, MEMORY_LIMIT, PORT, SENTINEL_PORT};
use crate::{
    controller::{Wanted, validate::Redis},
    digest,
};

/// By name; what each does stands in it.
const SCRIPTS: [(&str, &str); 7] = [
    ("keeper.sh", include_str!("scripts/keeper.sh")),
    ("lib.sh", include_str!("scripts/lib.sh")),
    ("probe.sh", include_str!("scripts/probe.sh")),
    ("replicas.sh", include_str!("scripts/replicas.sh")),
    ("sentinel.sh", include_str!("scripts/sentinel.sh")),
    ("start.sh", include_str!("scripts/start.sh")),
    ("stop.sh", include_str!("scripts/stop.sh")),
];

/// A file that the keeper follows: how many replicas a primary needs to take writes.
const MIN_REPLICAS: &str = "min-replicas";

pub fn config(wanted: &Wanted, redis: &Redis) -> ConfigMap {
    ConfigMap {
        metadata: metadata(wanted, names::redis(&wanted.stream.name), Component::Redis),
        data: Some(files(wanted, redis)),
        ..Default::default()
    }
}

/// Changes with what the pods read at their start only. The password is not among it, nor what the keeper follows.
pub(super) fn version(wanted: &Wanted, redis: &Redis) -> String {
    let mut files = files(wanted, redis);
    files.remove(MIN_REPLICAS);
    digest::short(&files.into_values().collect::<String>(), 8)
}

fn files(wanted: &Wanted, redis: &Redis) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> =
        SCRIPTS.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect();
    files.insert("redis.conf".into(), redis_conf(redis));
    if redis.spec.replicated.is_some() {
        files.insert("sentinel.conf".into(), sentinel_conf());
        // Where publishers wait for more of them, they would wait in vain.
        files.insert(MIN_REPLICAS.into(), wanted.stream.confirm.replicas.max(1).to_string());
    }
    files
}

fn redis_conf(redis: &Redis) -> String {
    let persistence = match redis.spec.persistence {
        Persistence::AppendOnly => "appendonly yes\nappendfsync everysec\naof-use-rdb-preamble yes",
        Persistence::None => "appendonly no",
    };
    // A quarter stays for buffers and for what a rewrite of the append-only file copies. noeviction: a full Redis
    // refuses events, which publishers see; evicting would lose the whole log, as it is one key.
    let maxmemory = memory_limit(redis).map_or_else(String::new, |limit| format!("maxmemory {}\n", limit / 4 * 3));
    let replication = if redis.spec.replicated.is_some() { REPLICATION } else { "" };
    format!(
        "\
# Written by sse-operator; changes here are undone. start.sh adds what only the pod knows.
port {PORT}
protected-mode no
dir /data
{persistence}
save \"\"
{maxmemory}maxmemory-policy noeviction
{replication}"
    )
}

/// A primary that its replicas have left takes no more writes after ten seconds: the others may have another one by
/// then, and what it took would be lost.
const REPLICATION: &str = "\
min-replicas-to-write 1
min-replicas-max-lag 10
repl-backlog-size 16mb
repl-diskless-sync-delay 0
";

fn sentinel_conf() -> String {
    // By name, as pods change their addresses.
    format!(
        "\
# Written by sse-operator; changes here are undone. sentinel.sh adds what only the pod knows.
port {SENTINEL_PORT}
dir /tmp
protected-mode no
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
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
    use crate::controller::fixtures;

    fn text(managed: &str) -> String {
        let wanted = fixtures::wanted(fixtures::yaml(&format!("broker: {{redis: {{managed: {{{managed}}}}}}}")));
        redis_conf(&wanted.redis.unwrap())
    }

    #[test]
    fn appends_and_never_evicts() {
        insta::assert_snapshot!(text(""));
    }

    #[test]
    fn keeps_nothing_where_it_is_told_so() {
        let text = text("persistence: None");
        assert!(text.contains("appendonly no\nsave \"\"\n") && !text.contains("appendfsync"), "{text}");
    }

    #[test]
    fn replicas_confirm() {
        insta::assert_snapshot!(text("topology: Replicated"));
    }

    #[test]
    fn a_primary_needs_the_replicas_that_publishers_wait_for_and_a_change_of_that_restarts_nothing() {
        let of = |confirm: &str| {
            let wanted = fixtures::wanted(fixtures::yaml(&format!(
                "broker: {{redis: {{managed: {{topology: Replicated}}, confirm: {{replicas: {confirm}}}}}}}"
            )));
            let redis = wanted.redis.as_ref().unwrap();
            (files(&wanted, redis)[MIN_REPLICAS].clone(), version(&wanted, redis))
        };
        let (none, two) = (of("0"), of("2"));
        assert_eq!((none.0.as_str(), two.0.as_str()), ("1", "2"));
        assert_eq!(none.1, two.1);
    }

    #[test]
    fn the_scripts_and_both_configurations_are_there() {
        let wanted = fixtures::replicated();
        let config = config(&wanted, wanted.redis.as_ref().unwrap());
        let names: Vec<String> = config.data.unwrap().into_keys().collect();
        assert_eq!(
            names.join(" "),
            "keeper.sh lib.sh min-replicas probe.sh redis.conf replicas.sh sentinel.conf sentinel.sh start.sh stop.sh"
        );
        insta::assert_snapshot!(sentinel_conf());
    }

    #[test]
    fn keeps_under_three_quarters_of_its_memory_limit() {
        assert!(text("resources: {limits: {memory: 4Gi}}").contains("maxmemory 3221225472\n"));
        assert!(!text("resources: {requests: {memory: 4Gi}}").contains("maxmemory "));
    }
}
