//! The figures of a stream's status: written by a field manager of their own, apart from what a reconcile writes, so that
//! neither waits for the other nor takes the other's fields away; and seldom, as each write is an event for all who watch.

use std::time::{Duration, Instant};

use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::reflector::ObjectRef,
};
use serde_json::json;
use ssefleet_crds::{GROUP, SseStream};

use super::report::Report;

/// The field manager of the figures.
const MANAGER: &str = "sse-operator-figures";
/// Figures that differ are written no more often than this;
const SOON: Duration = Duration::from_secs(30);
/// and when they differ little, than this.
const LATE: Duration = Duration::from_mins(5);

/// What the nodes of a stream count together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub connections: Option<i64>,
    pub events: Option<i64>,
}

impl Figures {
    /// As a stream's status has them.
    pub fn written(stream: &SseStream) -> Self {
        let status = stream.status.clone().unwrap_or_default();
        Self { connections: status.connections, events: status.events_published }
    }

    /// None while a node that serves does not answer: a sum without it would be wrong. Who leaves still counts. And none
    /// while there are pods and none of them serves: what they begin with is no news.
    pub fn of(reports: &[Report]) -> Option<Self> {
        let mut serving = reports.iter().filter(|report| report.serves()).peekable();
        if serving.peek().is_none() && !reports.is_empty() || serving.any(|report| report.stats().is_none()) {
            return None;
        }
        let answers = || reports.iter().filter_map(Report::stats);
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Some(Self {
            connections: Some(number(answers().map(|stats| stats.active_connections).sum())),
            events: answers().filter_map(super::stats::Stats::events).max().map(number),
        })
    }

    /// What nobody tells for now is as it was.
    #[must_use]
    pub fn or(self, written: Self) -> Self {
        Self { connections: self.connections.or(written.connections), events: self.events.or(written.events) }
    }

    /// Whether these are to be written in place of others, which have stood for so long.
    pub fn are_due(self, written: Self, for_so_long: Option<Duration>) -> bool {
        let long = |wait| for_so_long.is_none_or(|since| since >= wait);
        self != written && (long(LATE) || long(SOON) && self.differ_much(written))
    }

    /// By more than a twentieth of the connections.
    fn differ_much(self, written: Self) -> bool {
        match (self.connections, written.connections) {
            (Some(now), Some(then)) => now.abs_diff(then) * 20 > then.unsigned_abs(),
            (now, then) => now != then,
        }
    }
}

/// Figures as they were last written, and when.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub figures: Figures,
    pub at: Option<Instant>,
}

/// Writes figures into the stream's status.
pub async fn write(
    client: &Client,
    stream: &ObjectRef<SseStream>,
    uid: &str,
    figures: Figures,
) -> Result<(), kube::Error> {
    let mut patch = json!({
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": "SseStream",
        // Not into one that has taken its name.
        "metadata": {"name": stream.name, "uid": uid},
        "status": {},
    });
    for (name, figure) in [("connections", figures.connections), ("eventsPublished", figures.events)] {
        if let Some(figure) = figure {
            patch["status"][name] = figure.into();
        }
    }
    let api = Api::<SseStream>::namespaced(client.clone(), stream.namespace.as_deref().unwrap_or_default());
    match api.patch_status(&stream.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()), // gone, or another
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;
    use crate::nodes::{client::Error, stats::Stats};

    #[test]
    fn figures_are_the_sum_of_all_or_none() {
        let now = Instant::now();
        let node = |ready, connections| {
            let mut report = Report::of(&Pod::default(), now);
            report.ready = ready;
            let position = Some(format!("mdk3x9a1-{connections}"));
            let stats = Stats { active_connections: connections, position, ..Stats::default() };
            report.answered(Ok(stats), now);
            report
        };
        let mut leaving = node(true, 5);
        leaving.leaving = true;
        let all = [node(true, 3), leaving.clone(), node(false, 0)];
        assert_eq!(Figures::of(&all), Some(Figures { connections: Some(8), events: Some(5) }));
        let mut silent = node(true, 3);
        silent.answered(Err(Error::Late), now);
        assert_eq!(Figures::of(&[node(true, 3), silent]), None);
        assert_eq!(Figures::of(&[node(false, 0), leaving]), None, "none of them serves yet");
        assert_eq!(Figures::of(&[]), Some(Figures { connections: Some(0), events: None }), "scaled to zero");
    }

    #[test]
    fn figures_are_written_when_they_differ_and_seldom() {
        let figures = |connections, events| Figures { connections: Some(connections), events: Some(events) };
        let due = |now: Figures, seconds| now.are_due(figures(100, 7), Some(Duration::from_secs(seconds)));
        assert!(!due(figures(100, 7), 9999), "a steady stream makes no write");
        assert_eq!([29, 30].map(|seconds| due(figures(106, 7), seconds)), [false, true]);
        assert_eq!([30, 299, 300].map(|seconds| due(figures(105, 8), seconds)), [false, false, true]);
        assert!(figures(1, 0).are_due(figures(0, 0), Some(SOON)), "the first connection is much");
        assert!(figures(0, 0).are_due(Figures::default(), None), "the first figures are written at once");
    }
}
