//! Prompts a kubelet to bring what has changed. By itself it looks at a pod's files every minute or so; a change of the
//! pod's own annotations makes it look at once. The annotation is the pod's alone, not of the template: nothing rolls.
//! <https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/#mounted-configmaps-are-updated-automatically>
//!
//! Only pods that have told of an older edition are prompted, and those that do not tell. One prompt may come too early:
//! the kubelet hears of the `ConfigMap`, the Secrets and the pod by watches of their own. So it is repeated, a few times.

use std::time::{Duration, Instant};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use ssefleet_crds::edition::Edition;

use super::{PROMPT, report::Report};
use crate::NAME;

/// When it is repeated, and how often at most: after that the kubelet's own minute is over.
const AGAIN: Duration = Duration::from_secs(4);
const MOST: u32 = 6;

/// The prompts that a pod has had for an edition.
#[derive(Clone, Copy, Debug)]
pub struct Prompts {
    count: u32,
    last: Instant,
}

/// The annotation's value that would prompt the pod's kubelet now, if that is due.
pub fn due(
    report: &Report,
    newest: &Edition,
    since: Timestamp,
    prompts: Option<Prompts>,
    now: Instant,
) -> Option<(String, Prompts)> {
    let needed = match &report.told {
        Some(told) => told.edition != *newest && told.error.is_none(),
        // A pod that is younger than the edition began with it.
        None => report.created.is_some_and(|created| created < since),
    };
    if !needed || report.leaving {
        return None;
    }
    let name = format!("{}-{}", newest.generation.unwrap_or(0), newest.secrets.as_deref().unwrap_or("0"));
    let count = match prompts {
        Some(Prompts { count, last }) if count < MOST && now.duration_since(last) >= AGAIN => count + 1,
        Some(_) => return None,
        // By an operator before this one.
        None if report.told.is_none() && report.prompted.as_ref().is_some_and(|value| value.starts_with(&name)) => {
            return None;
        }
        None => 1,
    };
    Some((format!("{name}.{count}"), Prompts { count, last: now }))
}

/// Changes the pod's annotation.
pub async fn prompt(client: &Client, namespace: &str, pod: &str, value: &str) -> Result<(), kube::Error> {
    let patch = json!({"metadata": {"annotations": {PROMPT: value}}});
    let params = PatchParams { field_manager: Some(NAME.into()), ..Default::default() };
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    match api.patch_metadata(pod, &params, &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()), // it has gone in the meantime
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::report::Told;

    #[test]
    fn a_node_that_runs_an_older_edition_is_prompted_a_few_times() {
        let now = Instant::now();
        let (older, newest) = (
            Edition { generation: Some(1), secrets: None },
            Edition { generation: Some(2), secrets: Some("5ec".into()) },
        );
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut report = Report::of(&Pod::default(), now);
        report.told = Some(Told { edition: older, error: None });
        let due = |report: &Report, prompts, now| due(report, &newest, at(10), prompts, now);
        let (value, mut prompts) = due(&report, None, now).unwrap();
        assert_eq!(value, "2-5ec.1");
        assert!(due(&report, Some(prompts), now).is_none(), "it has just been prompted");
        let mut values = Vec::new();
        for n in 1..20 {
            if let Some((value, more)) = due(&report, Some(prompts), now + AGAIN * n) {
                prompts = more;
                values.push(value);
            }
        }
        assert_eq!(values, ["2-5ec.2", "2-5ec.3", "2-5ec.4", "2-5ec.5", "2-5ec.6"]);
        report.told = Some(Told { edition: newest.clone(), error: None });
        assert!(due(&report, None, now).is_none());
        // One that tells nothing.
        report.told = None;
        report.created = Some(at(11));
        assert!(due(&report, None, now).is_none(), "it began with the newest");
        report.created = Some(at(9));
        assert_eq!(due(&report, None, now).unwrap().0, "2-5ec.1");
        report.prompted = Some("2-5ec.1".into());
        assert!(due(&report, None, now).is_none(), "an operator before this one has done so");
    }
}
