//! When each stream is probed: at once when its ways in have changed, soon after a failure, and else now and then. It
//! knows no I/O and no clock of its own.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    finding::{Finding, Outcome},
    way::Plan,
};

/// Namespace and name.
pub type Key = (String, String);

/// A controller needs a moment to take over what has changed.
const AT_ONCE: Duration = Duration::from_secs(1);
/// After something good: that long, and up to twice as long.
const NOW_AND_THEN: Duration = Duration::from_mins(5);
/// After the first failure in a row, the second, and so on; then always the last. The first is short, as a failure is
/// told only when the next probe has failed as well: a proxy that reloads, or a node that stops, is not what was asked.
const AFTER_FAILURES: [u64; 7] = [3, 15, 30, 60, 120, 240, 300];
/// So many failures in a row are told.
const CONFIRMED: u32 = 2;
/// A node that does not know its Secret yet hears of it within a minute or so: longer than that is told.
const CONFIRMED_NOT_PROBED: u32 = 4;
/// A probe that never comes back is begun again.
const LOST: Duration = Duration::from_mins(10);

/// The streams, and when each is due.
#[derive(Default)]
pub struct Schedule {
    entries: HashMap<Key, Entry>,
    revisions: u64,
}

struct Entry {
    plan: Arc<Plan>,
    /// Of the plan: what is found by an older one counts no more.
    revision: u64,
    due: Instant,
    failures: u32,
    finding: Option<Arc<Finding>>,
}

/// A probe that is to be made now.
pub struct Due {
    pub key: Key,
    pub plan: Arc<Plan>,
    pub revision: u64,
}

impl Schedule {
    /// The stream is to be probed by this plan. `known` says that its status tells of a good probe of this plan's
    /// generation: after a restart, such streams are not all probed at once. True: something is due earlier than before.
    pub fn want(&mut self, key: Key, plan: Plan, known: bool, now: Instant, random: f64) -> bool {
        let entry = self.entries.get(&key);
        if entry.is_some_and(|entry| *entry.plan == plan) {
            return false;
        }
        let due = if entry.is_none() && known { NOW_AND_THEN.mul_f64(random) } else { AT_ONCE };
        self.revisions += 1;
        let entry =
            Entry { plan: Arc::new(plan), revision: self.revisions, due: now + due, failures: 0, finding: None };
        self.entries.insert(key, entry);
        true
    }

    /// The stream is not to be probed any more.
    pub fn forget(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    /// What was found last by the plan that holds, with its generation.
    pub fn finding(&self, key: &Key) -> Option<(Arc<Finding>, Option<i64>)> {
        let entry = self.entries.get(key)?;
        Some((entry.finding.clone()?, entry.plan.generation))
    }

    /// The next one that is due, or when there will be one.
    pub fn next(&mut self, now: Instant) -> Result<Due, Option<Instant>> {
        let Some((key, entry)) = self.entries.iter_mut().min_by_key(|(_, entry)| entry.due) else { return Err(None) };
        if entry.due > now {
            return Err(Some(entry.due));
        }
        entry.due = now + LOST;
        Ok(Due { key: key.clone(), plan: entry.plan.clone(), revision: entry.revision })
    }

    /// A probe is over. True: there is news to tell.
    pub fn found(&mut self, due: &Due, finding: Finding, now: Instant, random: f64) -> bool {
        let Some(entry) = self.entries.get_mut(&due.key).filter(|entry| entry.revision == due.revision) else {
            return false;
        };
        let good = finding.outcome == Outcome::Streaming;
        entry.failures = if good { 0 } else { entry.failures.saturating_add(1) };
        let after = if good {
            NOW_AND_THEN.mul_f64(1.0 + random)
        } else {
            let nth = usize::try_from(entry.failures).unwrap_or(usize::MAX).min(AFTER_FAILURES.len()) - 1;
            let seconds = AFTER_FAILURES.get(nth).copied().unwrap_or_default();
            Duration::from_secs(seconds).mul_f64(0.9 + 0.2 * random)
        };
        entry.due = now + after;
        let enough = if finding.outcome == Outcome::NotProbed { CONFIRMED_NOT_PROBED } else { CONFIRMED };
        if !good && entry.failures < enough {
            return false;
        }
        let outcome = finding.outcome;
        let before = entry.finding.replace(Arc::new(finding));
        before.is_none_or(|before| before.outcome != outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::finding::Measured;

    fn key(name: &str) -> Key {
        ("market".into(), name.into())
    }

    fn plan(generation: i64) -> Plan {
        Plan {
            namespace: "market".into(),
            name: "quotes".into(),
            generation: Some(generation),
            path: "/events".into(),
            heartbeat: Duration::from_secs(15),
            ways: Vec::new(),
        }
    }

    fn finding(outcome: Outcome) -> Finding {
        Finding { outcome, message: String::new(), measured: Measured::default() }
    }

    /// Makes the probe that is due, after the wait that it took, in whole seconds.
    fn probe(schedule: &mut Schedule, now: &mut Instant, outcome: Outcome) -> (u64, bool) {
        let Err(Some(at)) = schedule.next(*now) else { panic!("nothing is to come, or something is due already") };
        let waited = at - *now;
        *now = at;
        let Ok(due) = schedule.next(*now) else { panic!("it is due") };
        (waited.as_secs(), schedule.found(&due, finding(outcome), *now, 0.5))
    }

    #[test]
    fn a_failure_is_told_when_it_is_seen_twice_and_tried_later_each_time() {
        let (mut schedule, mut now) = (Schedule::default(), Instant::now());
        schedule.want(key("quotes"), plan(1), false, now, 0.5);
        assert_eq!(probe(&mut schedule, &mut now, Outcome::Streaming), (1, true));
        assert_eq!(probe(&mut schedule, &mut now, Outcome::Streaming), (450, false));
        let waits: Vec<_> = (0..9).map(|_| probe(&mut schedule, &mut now, Outcome::CutShort)).collect();
        let seconds = [450, 3, 15, 30, 60, 120, 240, 300, 300];
        let wanted: Vec<_> = seconds.into_iter().enumerate().map(|(n, seconds)| (seconds, n == 1)).collect();
        assert_eq!(waits, wanted);
        assert_eq!(probe(&mut schedule, &mut now, Outcome::Buffered), (300, true), "another failure is news at once");
        assert_eq!(probe(&mut schedule, &mut now, Outcome::Streaming), (300, true));
        assert_eq!(probe(&mut schedule, &mut now, Outcome::Buffered), (450, false), "it begins anew");
    }

    #[test]
    fn a_new_plan_is_probed_at_once_and_what_the_old_one_found_counts_no_more() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        assert!(schedule.want(key("quotes"), plan(1), false, now, 0.5));
        assert!(!schedule.want(key("quotes"), plan(1), false, now, 0.5), "the same plan changes nothing");
        let later = now + AT_ONCE;
        let Ok(old) = schedule.next(later) else { panic!("it is due") };
        assert!(schedule.next(later).is_err(), "it is made once");
        assert!(schedule.want(key("quotes"), plan(2), true, later, 0.5));
        assert!(!schedule.found(&old, finding(Outcome::Streaming), later, 0.5));
        assert!(schedule.finding(&key("quotes")).is_none());
        let Ok(new) = schedule.next(later + AT_ONCE) else { panic!("it is due") };
        assert!(schedule.found(&new, finding(Outcome::Streaming), later, 0.5));
        assert_eq!(schedule.finding(&key("quotes")).unwrap().1, Some(2));
        schedule.forget(&key("quotes"));
        assert!(!schedule.found(&new, finding(Outcome::Streaming), later, 0.5));
        assert_eq!(schedule.next(later).err(), Some(None));
    }

    #[test]
    fn after_a_restart_what_was_good_is_spread_out() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        for n in 0..1000 {
            schedule.want(key(&n.to_string()), plan(1), true, now, f64::from(n) / 1000.0);
        }
        let mut due = 0;
        while schedule.next(now + Duration::from_secs(30)).is_ok() {
            due += 1;
        }
        assert_eq!(due, 101, "a tenth of them in a tenth of the time");
    }

    #[test]
    fn nodes_get_a_minute_to_hear_of_their_token() {
        let (mut schedule, mut now) = (Schedule::default(), Instant::now());
        schedule.want(key("quotes"), plan(1), false, now, 0.5);
        let told: Vec<_> = (0..4).map(|_| probe(&mut schedule, &mut now, Outcome::NotProbed).1).collect();
        assert_eq!(told, [false, false, false, true]);
    }
}
