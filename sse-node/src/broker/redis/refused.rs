//! What an error of Redis means: which part fails, and whether another connection may do better.

use redis::RedisError;
use ssefleet_crds::part::Part;

use crate::broker::{BrokerError, Trouble};

/// What went wrong, as something that whoever runs the fleet can act on.
pub fn broken(error: RedisError) -> BrokerError {
    let gone = error.is_io_error() || error.is_timeout() || error.is_connection_dropped();
    if gone {
        return BrokerError::Away(error);
    }
    let code = code(&error);
    let told = |part, hint: &str| Trouble::new(part, format!("{error}{hint}"));
    match code.as_str() {
        "OOM" => BrokerError::Full,
        // Not up yet, or no longer the one to write to: another connection may find one that is.
        "LOADING" => BrokerError::Unready(told(Part::Loading, "; it reads its log from the disk")),
        "READONLY" => BrokerError::Unready(told(
            Part::ReadOnly,
            "; it is a replica: broker.redis.external.url must lead to the primary, or external.topology be Sentinel or Cluster",
        )),
        "MASTERDOWN" => BrokerError::Unready(told(Part::Replication, "; it is a replica without its primary")),
        "NOREPLICAS" => {
            BrokerError::Unready(told(Part::Replication, "; fewer replicas are up than its min-replicas-to-write"))
        }
        "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" => BrokerError::Unready(told(
            Part::Cluster,
            "; if it moves no slot and lacks no node, broker.redis.external.topology must be Cluster",
        )),
        "MISCONF" => BrokerError::Refused(told(Part::Disk, "; it can't write to its disk")),
        "NOAUTH" | "WRONGPASS" => BrokerError::Refused(told(
            Part::Auth,
            "; broker.redis.external.usernameSecretRef and passwordSecretRef say who the nodes are",
        )),
        "NOPERM" => BrokerError::Refused(told(Part::Auth, "; docs/redis.md says what the nodes' user must be allowed")),
        _ => BrokerError::Refused(told(Part::Other, "")),
    }
}

/// How the client library writes errors of a transaction's commands, and the first word that Redis said.
const KNOWN: [(&str, &str); 9] = [
    ("\"OOM\"", "OOM"),
    ("\"NOREPLICAS\"", "NOREPLICAS"),
    ("\"MISCONF\"", "MISCONF"),
    ("error: ReadOnly", "READONLY"),
    ("error: Moved", "MOVED"),
    ("error: Ask", "ASK"),
    ("error: TryAgain", "TRYAGAIN"),
    ("error: ClusterDown", "CLUSTERDOWN"),
    ("error: NoPerm", "NOPERM"),
];

/// The first word of what Redis said. A transaction names the errors of its commands only in its text, those that the
/// client library knows by their names there.
fn code(error: &RedisError) -> String {
    let code = error.code().unwrap_or_default();
    if code != "EXECABORT" && !code.is_empty() {
        return code.into();
    }
    let text = error.to_string();
    let found = KNOWN.iter().find(|(said, _)| text.contains(said));
    found.map_or_else(|| code.into(), |(_, code)| (*code).into())
}
