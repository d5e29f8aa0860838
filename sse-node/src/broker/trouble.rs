//! What is wrong with a broker: which part of it fails, and a sentence for whoever runs the fleet.

use std::fmt;

/// The part of a broker that fails, in the order in which a connection comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    Other,
}

/// A part that fails, and how.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub part: Part,
    pub message: String,
}

impl Trouble {
    pub fn new(part: Part, message: impl Into<String>) -> Self {
        Self { part, message: message.into() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
