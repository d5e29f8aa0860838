//! Who goes when there are to be fewer nodes: those with the fewest connections. Just before the number is lowered,
//! their pods are marked as the cheapest to delete; a mark that is left on a pod that stays is taken away.
//! <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost>
//!
//! A mark is advice: whatever goes wrong here does not keep the number from being lowered.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::reflector::ObjectRef,
};
use serde_json::json;
use ssefleet_crds::{SseStream, names};

use super::{context::Context, validate::Wanted};
use crate::{
    NAME,
    autoscale::fleet::reports,
    nodes::{DELETION_COST, Report},
    watch::Child,
};

/// Less than that of pods that say nothing, which is 0.
const CHEAP: &str = "-1";

/// Marks those who go, if there are to be fewer nodes than there were; and once there are, looks that nobody else is
/// left with a mark.
pub(super) async fn mark(stream: &SseStream, wanted: &Wanted, cx: &Context) {
    let (name, namespace, count) = (&wanted.stream.name, &wanted.stream.namespace, wanted.stream.replicas);
    let deployment = ObjectRef::<Deployment>::new(&names::node(name)).within(namespace);
    let Some(deployment) = Deployment::store(&cx.stores).get(&deployment) else { return };
    let there_were = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    let reached = deployment.status.as_ref().is_some_and(|status| status.replicas.unwrap_or(0) <= count);
    // When all go, nobody is the wrong one.
    let fewer = if count == 0 { 0 } else { usize::try_from(there_were - count).unwrap_or(0) };
    if fewer == 0 && !(reached && cx.memory.take_marked(stream)) {
        return;
    }
    let reports = reports(stream, cx);
    if fewer == 0 {
        return unmark(stream, &reports, cx).await;
    }
    cx.memory.marked(stream);
    let reports = cx.nodes.ask(reports).await;
    let going = emptiest(&reports, fewer);
    for report in reports.iter().filter(|report| going.contains(&report.pod.as_str()) != report.marked) {
        annotate(stream, &report.pod, (!report.marked).then_some(CHEAP), cx).await;
    }
}

/// Takes the marks away from pods that stay.
pub(crate) async fn unmark(stream: &SseStream, reports: &[Report], cx: &Context) {
    for report in reports.iter().filter(|report| report.marked && !report.leaving) {
        annotate(stream, &report.pod, None, cx).await;
    }
}

/// The pods with the fewest connections. One that does not tell may have the most; but one that is not ready goes first
/// in any case, as Kubernetes has it.
fn emptiest(reports: &[Report], count: usize) -> Vec<&str> {
    let mut staying: Vec<&Report> = reports.iter().filter(|report| !report.leaving).collect();
    staying.sort_by_key(|report| {
        let connections = report.stats().map_or(u64::MAX, |stats| stats.active_connections);
        (report.ready, connections, std::cmp::Reverse(report.pod.clone()))
    });
    staying.iter().take(count).map(|report| report.pod.as_str()).collect()
}

async fn annotate(stream: &SseStream, pod: &str, cost: Option<&str>, cx: &Context) {
    cx.metrics.write("Pod", "patch");
    let api = Api::<Pod>::namespaced(cx.client.clone(), &stream.namespace().unwrap_or_default());
    let patch = json!({"metadata": {"annotations": {DELETION_COST: cost}}});
    let params = PatchParams { field_manager: Some(NAME.into()), ..Default::default() };
    match api.patch_metadata(pod, &params, &Patch::Merge(&patch)).await {
        Ok(_) => tracing::info!(stream = stream.name_any(), pod, cost, "marked"),
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => {
            tracing::warn!(stream = stream.name_any(), pod, %error, "can't mark a pod that is to go, or stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::nodes::{Error, Stats};

    fn report(pod: &str, connections: Option<u64>) -> Report {
        let stats = connections.map(|active_connections| Stats { active_connections, ..Stats::default() });
        let mut report = Report::of(&Pod::default(), Instant::now());
        (report.pod, report.ready, report.stats) = (pod.into(), true, Some(stats.ok_or(Error::Late)));
        report
    }

    #[test]
    fn the_emptiest_go_and_those_who_do_not_tell_stay_if_they_can() {
        let mut reports = [report("a", Some(7)), report("b", None), report("c", Some(3)), report("d", Some(90))];
        assert_eq!(emptiest(&reports, 1), ["c"]);
        assert_eq!(emptiest(&reports, 3), ["c", "a", "d"]);
        reports[3].ready = false; // Kubernetes takes it first
        assert_eq!(emptiest(&reports, 2), ["d", "c"]);
        reports[2].leaving = true; // it goes already
        assert_eq!(emptiest(&reports, 2), ["d", "a"]);
    }
}
