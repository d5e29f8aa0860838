//! Which edition of its manifest a node serves: written into the manifest by the operator, told back by the node in
//! `/stats`, and compared by the operator, so that «every node runs it» is seen and not guessed.

use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::SseStream;

/// The annotation of a manifest that says which Secrets belong to it.
pub const SECRETS: &str = "ssefleet.dev/secrets";

/// An edition of a stream's manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edition {
    /// The `metadata.generation` that last changed what nodes read. A manifest on a laptop has none.
    #[serde(default)]
    pub generation: Option<i64>,
    /// Changes with each Secret that the nodes read, and tells nothing of what is in them.
    #[serde(default)]
    pub secrets: Option<String>,
}

impl From<&SseStream> for Edition {
    fn from(manifest: &SseStream) -> Self {
        Self { generation: manifest.metadata.generation, secrets: manifest.annotations().get(SECRETS).cloned() }
    }
}
