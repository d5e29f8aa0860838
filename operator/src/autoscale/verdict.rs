//! What the condition `Autoscaling` says. Its words stay the same as long as nothing changes that someone would act on:
//! figures are in the events and metrics.

use crate::controller::conditions::Verdict;

use super::decide::Why;

/// Of the mode Operator; `None` for the time before the first look.
pub fn verdict(why: Option<Why>, suspended: bool, stream: &str, namespace: &str) -> Verdict {
    if suspended {
        return Verdict::no("Suspended", "spec.fleet.replicas is 0: there is no node until it is something else");
    }
    let Some(why) = why else {
        return Verdict::yes("Beginning", "The nodes are asked for their numbers");
    };
    match (why, reason(why)) {
        (Why::Load(_) | Why::Bounds, reason) => Verdict::yes(reason, "There are as many nodes as the load asks for"),
        (Why::Pacing(_), reason) => {
            Verdict::yes(reason, "The number of nodes changes at the pace of spec.autoscaling.scaleUp and scaleDown")
        }
        (Why::Stabilizing, reason) => Verdict::yes(
            reason,
            "The load has changed, but not for as long as the stabilizationWindow of spec.autoscaling.scaleUp or scaleDown",
        ),
        (Why::Unsettled, reason) => {
            Verdict::yes(reason, "Fewer nodes would do; none is taken away while others come or go")
        }
        (Why::AtMost, reason) => Verdict::yes(
            reason,
            "The load asks for more nodes than spec.autoscaling.maxReplicas allows: raise it, or connections.maxPerPod will refuse subscribers",
        ),
        (Why::Missing(_) | Why::Blind, reason) => Verdict::no(
            reason,
            format!(
                "No node is taken away while one does not tell its numbers. See kubectl -n {namespace} logs deployment/{stream}, and that no NetworkPolicy keeps the operator from port 9090 of the pods"
            ),
        ),
    }
}

/// In a word.
pub fn reason(why: Why) -> &'static str {
    match why {
        Why::Load(_) | Why::Bounds => "AsNeeded",
        Why::Pacing(_) => "Pacing",
        Why::Stabilizing => "Stabilizing",
        Why::Unsettled => "NodesComeOrGo",
        Why::AtMost => "AtMaximum",
        Why::Missing(_) | Why::Blind => "NumbersMissing",
    }
}
