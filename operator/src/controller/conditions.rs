//! A stream's conditions, as they are set one by one: each keeps its transition time until its status changes.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

pub(super) const READY: &str = "Ready";
pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const DEGRADED: &str = "Degraded";
pub(super) const BROKER_READY: &str = "BrokerReady";
pub(super) const EXPOSED: &str = "Exposed";
pub(super) const STREAM_VERIFIED: &str = "StreamVerified";
/// There only while it holds.
pub(super) const PAUSED: &str = "Paused";
pub(super) const AUTOSCALING: &str = "Autoscaling";

/// What is to be said of one condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub holds: bool,
    /// In one CamelCase word.
    pub reason: &'static str,
    /// A sentence that says what to do.
    pub message: String,
}

impl Verdict {
    pub fn yes(reason: &'static str, message: impl Into<String>) -> Self {
        Self { holds: true, reason, message: message.into() }
    }

    pub fn no(reason: &'static str, message: impl Into<String>) -> Self {
        Self { holds: false, reason, message: message.into() }
    }
}

/// Conditions under way: begins with those of the last status.
pub(super) struct Conditions {
    pub list: Vec<Condition>,
    pub generation: Option<i64>,
    pub now: Timestamp,
}

impl Conditions {
    /// There is nothing to be said of it.
    pub fn drop(&mut self, type_: &str) {
        self.list.retain(|condition| condition.type_ != type_);
    }

    pub fn set(&mut self, type_: &str, verdict: Verdict) {
        let status = if verdict.holds { "True" } else { "False" };
        self.put(type_, status, verdict.reason, verdict.message, self.generation);
    }

    /// One that may be Unknown, or of an earlier generation.
    pub fn put(&mut self, type_: &str, status: &str, reason: &str, message: String, generation: Option<i64>) {
        let since = get(&self.list, type_).filter(|previous| previous.status == status);
        let condition = Condition {
            type_: type_.into(),
            status: status.into(),
            reason: reason.into(),
            message,
            observed_generation: generation,
            last_transition_time: since.map_or(Time(self.now), |previous| previous.last_transition_time.clone()),
        };
        match self.list.iter_mut().find(|previous| previous.type_ == type_) {
            Some(previous) => *previous = condition,
            None => self.list.push(condition),
        }
    }
}

/// For which generation a condition was set, if it holds.
pub(super) fn holds_for(conditions: &[Condition], type_: &str) -> Option<i64> {
    get(conditions, type_).filter(|condition| condition.status == "True")?.observed_generation
}

pub(super) fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

pub(super) fn holds(conditions: &[Condition], type_: &str) -> bool {
    get(conditions, type_).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_stays_until_the_status_changes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut conditions = Conditions { list: Vec::new(), generation: Some(1), now: at(10) };
        conditions.set(READY, Verdict::no("NodesNotReady", "0 of 2"));
        (conditions.now, conditions.generation) = (at(20), Some(2));
        conditions.set(READY, Verdict::no("NodesNotReady", "1 of 2"));
        let ready = get(&conditions.list, READY).unwrap();
        assert_eq!((ready.last_transition_time.0, ready.message.as_str()), (at(10), "1 of 2"));
        assert_eq!(ready.observed_generation, Some(2));
        conditions.now = at(30);
        conditions.set(READY, Verdict::yes("AllReady", ""));
        assert_eq!(get(&conditions.list, READY).unwrap().last_transition_time.0, at(30));
        assert_eq!(conditions.list.len(), 1);
    }
}
