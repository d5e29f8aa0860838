//! What is known of one stream's autoscaling from one look to the next: how many nodes it has decided for, what it
//! remembers, and whether connections are on their way to nodes that were added.
//!
//! `spec.fleet.replicas` is what it begins with, and what `kubectl scale` sets: whenever it changes, that many nodes,
//! within the bounds, are what is decided, and all that was remembered is forgotten.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use ssefleet_crds::{
    SseStream,
    autoscaling::{Autoscaling, AutoscalingStatus},
};

use super::{
    decide::{Decision, Reading, Rules, Why, decide},
    history::History,
    reading::{Rates, Used, told},
};
use crate::nodes::Report;

/// How often connections are moved after one scale-out, at most.
const ROUNDS: u32 = 10;

/// See above.
pub struct Scaler {
    pub desired: i32,
    /// `spec.fleet.replicas` when it was begun with.
    fleet_replicas: i32,
    last_scale: Option<Timestamp>,
    history: History,
    /// Why it was decided so; none before the first look.
    pub why: Option<Why>,
    /// What each node had used when it told last, and the time before, by its pod.
    used: HashMap<String, (Option<Used>, Used)>,
    pub balance: Balance,
}

/// Whether connections are to move to nodes that were added.
#[derive(Clone, Copy, Debug)]
pub struct Balance {
    /// How many nodes there were to be, when that was looked at last.
    wanted: i32,
    rounds_left: u32,
    not_before: Instant,
}

impl Scaler {
    /// As the stream and its status say. The operator may have just begun: what its predecessor decided holds.
    pub fn new(stream: &SseStream, scaling: &Autoscaling, now: Instant) -> Self {
        let asked = stream.spec.fleet.replicas;
        let decided = stream.status.as_ref().and_then(|status| status.autoscaling.as_ref());
        let decided = decided.filter(|decided| decided.fleet_replicas == asked && asked != 0);
        let desired = scaling.bounded(decided.map_or(asked, |decided| decided.desired_replicas));
        Self {
            desired,
            fleet_replicas: asked,
            last_scale: decided.and_then(|decided| decided.last_scale_time.as_ref()).map(|time| time.0),
            history: History::new(now, desired),
            why: None,
            used: HashMap::new(),
            // Whether its predecessor was in the middle of moving connections is not known: so it looks.
            balance: Balance { wanted: 0, rounds_left: ROUNDS, not_before: now },
        }
    }

    /// Begins anew with what `spec.fleet.replicas` says, if that has changed.
    pub fn follow(&mut self, stream: &SseStream, scaling: &Autoscaling, now: Instant) {
        let asked = stream.spec.fleet.replicas;
        if asked != self.fleet_replicas {
            let desired = scaling.bounded(asked);
            if desired != self.desired {
                self.last_scale = Some(second());
            }
            self.fleet_replicas = asked;
            self.desired = desired;
            self.history = History::new(now, desired);
            self.why = None;
        }
    }

    /// `spec.fleet.replicas` is 0.
    pub fn is_suspended(&self) -> bool {
        self.fleet_replicas == 0
    }

    /// Takes note of what nodes have used.
    pub fn take(&mut self, reports: &[Report], now: Instant) {
        self.used.retain(|pod, _| reports.iter().any(|report| report.pod == *pod));
        for report in reports {
            let Some(used) = told(report, now).map(|stats| Used::of(stats, report.asked)) else { continue };
            match self.used.get_mut(&report.pod) {
                Some((_, last)) if last.at == used.at => {}
                Some((before, last)) => *before = Some(std::mem::replace(last, used)),
                None => drop(self.used.insert(report.pod.clone(), (None, used))),
            }
        }
    }

    /// What the node uses, by the last two times that it told.
    pub fn rates(&self, report: &Report) -> Rates {
        let Some((Some(before), last)) = self.used.get(&report.pod) else { return Rates::default() };
        last.since(before)
    }

    /// Looks at the fleet, and decides. True if anything is to be done, or to be told otherwise.
    pub fn look(&mut self, rules: &Rules, reading: &Reading, now: Instant) -> (bool, Decision) {
        let decision = decide(rules, self.desired, reading, &mut self.history, now);
        let scales = decision.desired != self.desired;
        if scales {
            self.desired = decision.desired;
            self.last_scale = Some(second());
        }
        let before = self.why.replace(decision.why);
        let told_otherwise =
            before.is_none_or(|before| super::verdict::reason(before) != super::verdict::reason(decision.why));
        (scales || told_otherwise, decision)
    }

    pub fn status(&self) -> AutoscalingStatus {
        AutoscalingStatus {
            desired_replicas: self.desired,
            fleet_replicas: self.fleet_replicas,
            last_scale_time: self.last_scale.map(Time),
        }
    }
}

impl Balance {
    /// So many nodes are wanted, and there are as many. Whether connections are to be moved now.
    pub fn is_due(&mut self, wanted: i32, settled: bool, now: Instant) -> bool {
        if wanted > self.wanted && self.wanted > 0 {
            self.rounds_left = ROUNDS;
            self.not_before = now;
        }
        self.wanted = wanted;
        settled && self.rounds_left > 0 && now >= self.not_before
    }

    /// A round was begun that lasts so long.
    pub fn begun(&mut self, now: Instant, lasts: Duration) {
        self.rounds_left = self.rounds_left.saturating_sub(1);
        self.not_before = now + lasts;
    }

    /// Nobody has too many.
    pub fn done(&mut self) {
        self.rounds_left = 0;
    }
}

/// RFC 3339 in whole seconds, as everything else in Kubernetes.
fn second() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures;

    fn stream(replicas: i32, decided: Option<(i32, i32)>) -> (SseStream, Autoscaling) {
        let spec = format!("fleet: {{replicas: {replicas}}}\nautoscaling: {{minReplicas: 2, maxReplicas: 6}}");
        let mut stream = fixtures::stream(fixtures::yaml(&spec));
        let autoscaling = decided.map(|(desired_replicas, fleet_replicas)| AutoscalingStatus {
            desired_replicas,
            fleet_replicas,
            last_scale_time: None,
        });
        stream.status = Some(ssefleet_crds::SseStreamStatus { autoscaling, ..Default::default() });
        let scaling = stream.spec.autoscaling.clone().unwrap();
        (stream, scaling)
    }

    fn begins(replicas: i32, decided: Option<(i32, i32)>) -> i32 {
        let (stream, scaling) = stream(replicas, decided);
        Scaler::new(&stream, &scaling, Instant::now()).desired
    }

    #[test]
    fn it_begins_with_the_replicas_of_the_stream_or_goes_on_where_an_operator_left_off() {
        assert_eq!([begins(1, None), begins(4, None), begins(9, None)], [2, 4, 6]);
        assert_eq!(begins(2, Some((5, 2))), 5);
        assert_eq!(begins(3, Some((5, 2))), 3, "someone has scaled while no operator ran");
        assert_eq!([begins(0, None), begins(0, Some((5, 2))), begins(0, Some((5, 0)))], [0, 0, 0]);
    }

    #[test]
    fn kubectl_scale_says_what_is_begun_with_anew() {
        let now = Instant::now();
        let (two, scaling) = stream(2, Some((5, 2)));
        let mut scaler = Scaler::new(&two, &scaling, now);
        scaler.follow(&two, &scaling, now);
        assert_eq!(scaler.desired, 5);
        for (asked, desired) in [(4, 4), (9, 6), (0, 0), (1, 2)] {
            scaler.follow(&stream(asked, None).0, &scaling, now);
            assert_eq!((scaler.desired, scaler.is_suspended()), (desired, asked == 0));
            assert_eq!(scaler.status().fleet_replicas, asked);
            assert!(scaler.status().last_scale_time.is_some());
        }
    }

    #[test]
    fn connections_move_after_a_scale_out_and_not_for_ever() {
        let now = Instant::now();
        let mut balance = Balance { wanted: 0, rounds_left: 0, not_before: now };
        assert!(!balance.is_due(1, true, now), "nothing is known of what was before");
        assert!(!balance.is_due(3, false, now), "the new ones are not there yet");
        assert!(balance.is_due(3, true, now));
        balance.begun(now, Duration::from_secs(5));
        assert!(!balance.is_due(3, true, now + Duration::from_secs(4)));
        assert!(balance.is_due(3, true, now + Duration::from_secs(5)));
        for _ in 1..ROUNDS {
            balance.begun(now, Duration::ZERO);
        }
        assert!(!balance.is_due(3, true, now));
        assert!(!balance.is_due(2, true, now), "after a scale-in there is nothing to move");
    }
}
