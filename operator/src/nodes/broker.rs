//! What a node tells of its broker: how it does, and which part of it fails.

use serde::Deserialize;
use ssefleet_crds::part::Part;

/// How a node's broker does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Broker {
    pub state: State,
    pub part: Option<Part>,
    /// A sentence that names the host, and no secret.
    pub message: Option<String>,
}

/// How it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum State {
    Ready,
    Failing,
    /// Not opened yet, or a word of a later release.
    #[default]
    #[serde(other)]
    Connecting,
}

/// What is wrong at one node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failing {
    pub part: Part,
    pub pod: String,
    pub message: String,
}

impl Broker {
    pub fn failing(&self, pod: &str) -> Option<Failing> {
        let message = || self.message.clone().unwrap_or_else(|| "its node does not say why".into());
        (self.state == State::Failing).then(|| Failing {
            part: self.part.unwrap_or(Part::Other),
            pod: pod.to_owned(),
            message: message(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_read_and_a_later_releases_words_too() {
        let read = |text: &str| serde_json::from_str::<Broker>(text).unwrap();
        let failing = read(r#"{"state": "Failing", "part": "Auth", "message": "no", "since": "2026-01-01T00:00:00Z"}"#);
        let failing = failing.failing("quotes-a").unwrap();
        assert_eq!((failing.part, failing.pod.as_str(), failing.message.as_str()), (Part::Auth, "quotes-a", "no"));
        assert_eq!(read(r#"{"state": "Failing", "part": "Quota"}"#).failing("a").unwrap().part, Part::Other);
        assert_eq!(read(r#"{"state": "Ready", "part": null, "message": null}"#).failing("a"), None);
        assert_eq!(read(r#"{"state": "Warming"}"#), Broker::default());
    }
}
