//! What is known of one node: its pod, and what it last told of itself; and from those of all nodes, how far they are with
//! the newest edition of their manifest. Pure, so that each situation is a line of a test.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::ResourceExt;
use ssefleet_crds::edition::Edition;

use super::{broker::Failing, client::Error, stats::Stats};

/// How long a node may say nothing before it no longer counts as one that is about to.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What is known of one node.
#[derive(Clone, Debug)]
pub struct Report {
    pub pod: String,
    pub uid: String,
    pub ip: Option<IpAddr>,
    pub ready: bool,
    /// It is being deleted: it drains, or is about to.
    pub leaving: bool,
    pub created: Option<Timestamp>,
    /// What it answered when it was last asked; none if that has not been yet.
    pub stats: Option<Result<Stats, Error>>,
    /// When that was.
    pub asked: Instant,
    /// What it last told of its manifest, even if it has been silent since.
    pub told: Option<Told>,
    /// Since when it has told nothing new.
    pub silent_since: Instant,
    /// The annotation by which its kubelet was last prompted.
    pub prompted: Option<String>,
    /// It is marked as one that is to go.
    pub marked: bool,
}

/// What a node told of its manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub edition: Edition,
    /// Why it can't use a newer one.
    pub error: Option<String>,
}

impl Report {
    /// Of a pod that has not been asked yet.
    pub fn of(pod: &Pod, now: Instant) -> Self {
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        Self {
            pod: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            ip: status.and_then(|status| status.pod_ip.as_deref()).and_then(|ip| ip.parse().ok()),
            ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            leaving: pod.metadata.deletion_timestamp.is_some(),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            stats: None,
            asked: now,
            told: None,
            silent_since: now,
            prompted: pod.annotations().get(super::PROMPT).cloned(),
            marked: pod.annotations().contains_key(super::DELETION_COST),
        }
    }

    /// Takes over what was known of the same pod.
    #[must_use]
    pub fn after(self, earlier: Option<&Self>) -> Self {
        match earlier {
            Some(earlier) => Self {
                stats: earlier.stats.clone(),
                asked: earlier.asked,
                told: earlier.told.clone(),
                silent_since: earlier.silent_since,
                ..self
            },
            None => self,
        }
    }

    /// Takes note of an answer.
    pub fn answered(&mut self, answer: Result<Stats, Error>, now: Instant) {
        self.asked = now;
        if let Ok(stats) = &answer {
            let configuration = &stats.configuration;
            // One that tells no generation is of a release that can't.
            if configuration.edition.generation.is_some() {
                self.told = Some(Told { edition: configuration.edition.clone(), error: configuration.error.clone() });
                self.silent_since = now;
            }
        }
        self.stats = Some(answer);
    }

    /// What it told, unless there is none or it is too old to count.
    pub fn stats(&self) -> Option<&Stats> {
        self.stats.as_ref()?.as_ref().ok()
    }

    /// It serves, and goes on doing so.
    pub fn serves(&self) -> bool {
        self.ready && !self.leaving
    }
}

/// How far the nodes are with the newest edition of their manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Nodes that serve.
    pub nodes: usize,
    /// Pods that do not run it yet, or have not been heard yet.
    pub behind: Vec<String>,
    /// Pods that can't use it, and why.
    pub refused: Vec<(String, String)>,
    /// Pods that don't answer, so that nobody knows.
    pub silent: Vec<String>,
    /// Nodes that tell how their broker does, ready or not, and what is wrong with it.
    pub heard: usize,
    pub failing: Vec<Failing>,
}

impl Progress {
    /// By what the nodes told since `since`, when this edition came about.
    pub fn of(reports: &[Report], newest: &Edition, since: Instant, now: Instant) -> Self {
        let mut progress = Self::default();
        for report in reports.iter().filter(|report| report.serves()) {
            progress.nodes += 1;
            let pod = || report.pod.clone();
            let silent = now.duration_since(report.silent_since.max(since)) >= PATIENCE;
            match &report.told {
                Some(told) if told.edition == *newest => {}
                Some(Told { error: Some(error), .. }) => progress.refused.push((pod(), error.clone())),
                _ if silent => progress.silent.push(pod()),
                _ => progress.behind.push(pod()),
            }
        }
        for report in reports.iter().filter(|report| !report.leaving) {
            // One that a rollout is about to replace speaks of a broker that is asked for no longer.
            let Some(stats) = report.stats().filter(|stats| stats.configuration.needs_restart.is_empty()) else {
                continue;
            };
            progress.heard += 1;
            progress.failing.extend(stats.broker.failing(&report.pod));
        }
        progress.behind.sort();
        progress.failing.sort();
        progress.refused.sort();
        progress.silent.sort();
        progress
    }

    /// Nobody is waited for any more.
    pub fn is_over(&self) -> bool {
        self.behind.is_empty() && self.refused.is_empty()
    }
}

/// Pods as a sentence names them: the first, and how many more.
pub fn name(pods: &[String]) -> String {
    match pods {
        [] => "none".into(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodCondition, PodStatus};

    use super::*;
    use crate::nodes::stats::Configuration;

    fn edition(generation: i64) -> Edition {
        Edition { generation: Some(generation), secrets: None }
    }

    fn pod(name: &str, now: Instant) -> Report {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        let ready = PodCondition { type_: "Ready".into(), status: "True".into(), ..Default::default() };
        let ip = Some("10.0.0.1".into());
        pod.status = Some(PodStatus { pod_ip: ip, conditions: Some(vec![ready]), ..Default::default() });
        Report::of(&pod, now)
    }

    fn tells(generation: i64, error: Option<&str>) -> Stats {
        let configuration =
            Configuration { edition: edition(generation), error: error.map(Into::into), ..Configuration::default() };
        Stats { configuration, ..Stats::default() }
    }

    #[test]
    fn a_node_that_is_about_to_be_replaced_says_nothing_of_the_new_broker() {
        let now = Instant::now();
        let text = r#"{"broker": {"state": "Failing", "part": "Dns", "message": "nowhere has no address"}}"#;
        let mut stats: Stats = serde_json::from_str(text).unwrap();
        let mut node = pod("a", now);
        node.answered(Ok(stats.clone()), now);
        let progress = |node: &Report| Progress::of(std::slice::from_ref(node), &edition(2), now, now);
        assert_eq!((progress(&node).heard, progress(&node).failing.len()), (1, 1));
        stats.configuration.needs_restart = vec!["spec.broker".into()];
        node.answered(Ok(stats), now);
        assert_eq!((progress(&node).heard, progress(&node).failing.len()), (0, 0));
    }

    #[test]
    fn a_node_is_behind_until_it_tells_the_newest_edition() {
        let now = Instant::now();
        let mut nodes = [pod("a", now), pod("b", now), pod("c", now)];
        nodes[0].answered(Ok(tells(2, None)), now);
        nodes[1].answered(Ok(tells(1, None)), now);
        let progress = |nodes: &[Report]| Progress::of(nodes, &edition(2), now, now);
        assert_eq!(progress(&nodes).behind, ["b", "c"], "one is older, and one has not been heard");
        nodes[2].answered(Err(Error::Late), now);
        assert_eq!(progress(&nodes).behind, ["b", "c"]);
        nodes[1].answered(Ok(tells(2, None)), now);
        nodes[1].answered(Err(Error::Late), now);
        nodes[2].answered(Ok(tells(2, None)), now);
        assert!(progress(&nodes).is_over(), "what was heard is not forgotten");
        nodes[1].answered(Ok(tells(1, Some("unknown field"))), now);
        assert_eq!(progress(&nodes).refused, [("b".to_owned(), "unknown field".to_owned())]);
        nodes[1].leaving = true;
        assert!(progress(&nodes).is_over(), "who leaves is not waited for");
    }

    #[test]
    fn one_that_does_not_answer_is_not_waited_for_for_ever() {
        let now = Instant::now();
        let mut node = pod("a", now);
        let progress = |node: &Report, since, now| Progress::of(std::slice::from_ref(node), &edition(2), since, now);
        let later = now + PATIENCE;
        assert_eq!(progress(&node, now, later).silent, ["a"]);
        assert!(progress(&node, now, later).is_over());
        assert_eq!(progress(&node, later, later).behind, ["a"], "the edition is new");
        // An old release answers, but tells no generation.
        node.answered(Ok(Stats::default()), later);
        assert_eq!(progress(&node, now, later).silent, ["a"]);
        // One that answers is waited for: its kubelet is slow.
        node.answered(Ok(tells(1, None)), later);
        assert_eq!(progress(&node, now, later).behind, ["a"]);
    }

    #[test]
    fn what_was_known_of_a_pod_stays_known() {
        let now = Instant::now();
        let mut earlier = pod("a", now);
        earlier.answered(Ok(tells(2, None)), now);
        let again = pod("a", now + PATIENCE).after(Some(&earlier));
        assert_eq!((again.told, again.silent_since), (earlier.told.clone(), now));
        assert_eq!(name(&["a".into(), "b".into(), "c".into()]), "a and 2 more");
    }
}
