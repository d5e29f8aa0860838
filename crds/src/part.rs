//! Which part of its broker fails: told by a node in `/stats`, and made into BrokerReady by the operator.

use serde::{Deserialize, Serialize};

/// A part of a broker, in the order in which a connection comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// A Secret is not there.
    Secret,
    /// A name has no address.
    Dns,
    /// No connection, or one that broke or fell silent.
    Tcp,
    Tls,
    /// A user or password that is wrong, or a user that may not do what is needed.
    Auth,
    /// The Sentinels don't tell where the primary is.
    Sentinel,
    /// The nodes don't tell who serves the stream's slot, or nobody does.
    Cluster,
    /// It still reads its log from the disk.
    Loading,
    /// It is a replica.
    ReadOnly,
    /// Too few replicas have, or could have, what is written.
    Replication,
    Memory,
    Disk,
    /// Something else, or a word of a later release.
    #[serde(other)]
    Other,
}
