//! What a node tells of itself, `GET /stats`. A member that is not there is one that an older node does not know.

use serde::Deserialize;
use ssefleet_crds::edition::Edition;

use super::broker::Broker;

/// What a node tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Stats {
    /// Open now.
    pub active_connections: u64,
    /// The last event of the log that it has: the log's epoch and a number, as in `id:`.
    pub position: Option<String>,
    /// It is about to stop.
    pub draining: bool,
    pub configuration: Configuration,
    pub broker: Broker,
    /// What its process has used since its start.
    pub cpu_seconds: Option<f64>,
    pub delivery: Delivery,
}

/// How many events the node has written to its subscribers, and how long that took from the log on, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Delivery {
    pub events: u64,
    pub seconds: f64,
}

/// The manifest that a node runs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Configuration {
    #[serde(flatten)]
    pub edition: Edition,
    /// Why the newest manifest is not what it runs.
    pub error: Option<String>,
    /// Fields whose newest value only a restart would bring it to, the broker's address among them.
    pub needs_restart: Vec<String>,
}

impl Stats {
    /// How many events the log has had, as this node knows it: numbers count up by one.
    pub fn events(&self) -> Option<u64> {
        self.position.as_ref()?.rsplit_once('-')?.1.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_tells_is_read_and_what_is_not_known_is_passed_over() {
        let text = r#"{"activeConnections": 3, "position": "mdk3x9a1-42", "draining": false, "new": [1],
            "configuration": {"generation": 7, "secrets": null, "error": null, "needsRestart": []}}"#;
        let stats: Stats = serde_json::from_str(text).unwrap();
        assert_eq!((stats.active_connections, stats.events()), (3, Some(42)));
        assert_eq!(stats.configuration.edition, Edition { generation: Some(7), secrets: None });
        assert_eq!(serde_json::from_str::<Stats>("{}").unwrap(), Stats::default());
    }
}
