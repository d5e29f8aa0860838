//! BrokerReady: whether events can be kept, and if not, which part fails, by the word of the nodes, and what to change.

use k8s_openapi::api::apps::v1::StatefulSet;
use ssefleet_crds::{
    broker::Persistence,
    names,
    part::Part,
    validated::{Broker, ManagedRedis},
};

use super::verdicts::{Nodes, SECRET_MISSING, say_missing};
use crate::{
    controller::{Wanted, conditions::Verdict, resolve::Missing},
    nodes::{Failing, Progress},
};

pub(super) fn broker(
    wanted: &Wanted,
    missing: &[Missing],
    nodes: &Nodes,
    progress: &Progress,
    redis: Option<&StatefulSet>,
) -> Verdict {
    let (name, namespace) = (&wanted.stream.name, &wanted.stream.namespace);
    match &wanted.stream.broker {
        Broker::Memory => Verdict::yes("InMemory", "Events are kept in the node's memory and end with its pod"),
        Broker::ManagedRedis(managed) => {
            let ready = redis.and_then(|redis| redis.status.as_ref()).and_then(|status| status.ready_replicas);
            let ready = ready.unwrap_or(0);
            if ready == 0 {
                let pod = format!("{}-0", names::redis(name));
                let message = format!(
                    "The managed Redis does not answer yet. If this lasts: kubectl -n {namespace} describe pod {pod}"
                );
                return Verdict::no("RedisNotReady", message);
            }
            failing(progress, |part| remedy_of_managed(part, name, namespace))
                .unwrap_or_else(|| Verdict::yes("RedisReady", answers(managed, ready)))
        }
        Broker::ExternalRedis(redis) => {
            if let Some(missing) = missing.iter().find(|missing| missing.is_of_broker()) {
                return Verdict::no(SECRET_MISSING, say_missing(missing, namespace));
            }
            if let Some(failing) = failing(progress, |part| remedy_of_external(part).to_owned()) {
                return failing;
            }
            if nodes.ready > 0 || nodes.wanted == 0 {
                return Verdict::yes("RedisReached", format!("The nodes reach {}", redis.url));
            }
            Verdict::no(
                "RedisNotReached",
                format!(
                    "No node has reached {} yet. If this lasts: kubectl -n {namespace} logs deployment/{name}",
                    redis.url
                ),
            )
        }
    }
}

/// How the managed Redis does, and what would be lost with it.
fn answers(managed: &ManagedRedis, ready: i32) -> String {
    let answers = match managed.replicated {
        None => "The managed Redis answers".to_owned(),
        Some(all) if ready < all => format!("The managed Redis answers; {ready} of its {all} pods are ready"),
        Some(all) => format!("The managed Redis answers, with all of its {all} pods"),
    };
    match (managed.persistence, managed.replicated) {
        (Persistence::AppendOnly, _) => answers,
        (Persistence::None, None) => {
            format!("{answers}. It keeps nothing (managed.persistence None): a restart of its pod loses all events")
        }
        (Persistence::None, Some(_)) => {
            format!(
                "{answers}. They keep nothing (managed.persistence None): if all restart at once, all events are lost"
            )
        }
    }
}

/// What fails, if anything does, at the earliest part: those behind it may fail because of it.
fn failing(progress: &Progress, remedy: impl Fn(Part) -> String) -> Option<Verdict> {
    let first: &Failing = progress.failing.iter().min()?;
    let heard = progress.heard;
    let of = if progress.failing.len() < heard {
        format!(" ({} of {heard} nodes)", progress.failing.len())
    } else {
        String::new()
    };
    let message = first.message.trim_end_matches('.');
    Some(Verdict::no(reason(first.part), format!("{message}{of}. {}", remedy(first.part))))
}

fn reason(part: Part) -> &'static str {
    match part {
        Part::Secret => "SecretUnreadable",
        Part::Dns => "DnsFailed",
        Part::Tcp => "ConnectionFailed",
        Part::Tls => "TlsFailed",
        Part::Auth => "AuthFailed",
        Part::Sentinel => "SentinelFailed",
        Part::Cluster => "ClusterFailed",
        Part::Loading => "Loading",
        Part::ReadOnly => "ReadOnly",
        Part::Replication => "TooFewReplicas",
        Part::Memory => "OutOfMemory",
        Part::Disk => "DiskFailed",
        Part::Other => "RedisFailed",
    }
}

fn remedy_of_external(part: Part) -> &'static str {
    match part {
        Part::Secret => "See that the Secrets that spec.broker.redis.external names are there",
        Part::Dns => "Correct the host in spec.broker.redis.external.url",
        Part::Tcp => {
            "Correct host and port in spec.broker.redis.external.url, or let the pods of this namespace connect to it"
        }
        Part::Tls => {
            "The host in spec.broker.redis.external.url must be in its certificate, and the authority of that in external.tls.caSecretRef; for a server without TLS, begin the url with redis://"
        }
        Part::Auth => {
            "Correct the Secrets of spec.broker.redis.external.usernameSecretRef and passwordSecretRef, or those of external.sentinel if a Sentinel refuses, or the user's rights"
        }
        Part::Sentinel => {
            "Correct spec.broker.redis.external.sentinel.masterName, and see that its Sentinels know a primary"
        }
        Part::Cluster => {
            "See that spec.broker.redis.external.topology is what the server is, and that its slots are served"
        }
        Part::Loading => "This passes by itself",
        Part::ReadOnly => {
            "Point spec.broker.redis.external.url to the primary, or set external.topology to Sentinel or Cluster"
        }
        Part::Replication => "Bring its replicas back, or lower spec.broker.redis.confirm.replicas",
        Part::Memory => "Raise its maxmemory, or lower spec.history",
        Part::Disk => "Give it room on its disk",
        Part::Other => "See spec.broker.redis.external",
    }
}

fn remedy_of_managed(part: Part, name: &str, namespace: &str) -> String {
    let redis = names::redis(name);
    match part {
        Part::Memory => "Raise spec.broker.redis.managed.resources.limits.memory, or lower spec.history".to_owned(),
        Part::Secret | Part::Auth => {
            format!("See the key password of the Secret {redis}; a change of it takes about a minute to reach all pods")
        }
        Part::Replication => format!(
            "Until its replicas are back, lower spec.broker.redis.confirm.replicas; see kubectl -n {namespace} get pods -l app.kubernetes.io/component=redis,app.kubernetes.io/instance={name}"
        ),
        Part::Disk => format!(
            "Its volume is full or broken: see kubectl -n {namespace} logs {redis}-0 -c redis; a larger one is given by spec.broker.redis.managed.storage.size of a new stream"
        ),
        Part::Loading => "This passes by itself".to_owned(),
        Part::Dns | Part::Tcp | Part::Tls | Part::Sentinel | Part::Cluster | Part::ReadOnly | Part::Other => {
            format!(
                "If this lasts for more than a failover, half a minute: kubectl -n {namespace} describe pod {redis}-0"
            )
        }
    }
}
