//! Asks the nodes of every stream in turn what they tell of themselves, and acts on it: kubelets are prompted while nodes
//! run an older edition, a reconcile is asked for when what the status says of them has changed, figures are written.
//!
//! A stream whose nodes are behind is asked each second, and any other at leisure; so a change is seen to everywhere
//! within seconds, and a thousand quiet streams cost some hundred short requests a second.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use k8s_openapi::jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use parking_lot::Mutex;
use ssefleet_crds::{SseStream, edition::Edition};
use tokio::{sync::Notify, time::sleep};

use super::{
    client::Client,
    figures::{self, Figures, Kept},
    prompt::{self, Prompts},
    report::{Progress, Report},
};
use crate::controller::context::Context;

/// How often the nodes of a stream are asked, and how often while something is on its way.
const LEISURE: Duration = Duration::from_secs(20);
const HURRY: Duration = Duration::from_secs(1);
/// How often where autoscaling decides by what they tell.
const SCALED: Duration = Duration::from_secs(10);
/// So long it is hurried; a kubelet that was not to be prompted takes two minutes at most.
const IN_A_HURRY: Duration = Duration::from_secs(30);
/// So many streams are asked at a time at leisure: those in a hurry need not wait behind them.
const AT_LEISURE: usize = 16;

/// What is known of the nodes of all streams.
#[derive(Default)]
pub struct Nodes {
    pub client: Client,
    known: Mutex<HashMap<ObjectRef<SseStream>, Known>>,
    news: Notify,
}

/// What is known of the nodes of one stream.
struct Known {
    uid: String,
    /// What they are to run, and since when.
    newest: Edition,
    since: (Instant, Timestamp),
    reports: Vec<Report>,
    prompts: HashMap<String, Prompts>,
    /// What the last reconcile that was asked for was told.
    told: Progress,
    figures: Kept,
    /// How often they are asked while nothing is on its way.
    leisure: Duration,
    /// When they are to be asked again; none while they are being asked.
    due: Option<Instant>,
}

impl Nodes {
    /// From now on the nodes of the stream are to run this edition.
    pub fn expect(&self, stream: &SseStream, newest: &Edition) {
        let mut all = self.known.lock();
        let (now, uid) = (Instant::now(), stream.uid().unwrap_or_default());
        let known = all.entry(ObjectRef::from_obj(stream)).or_insert_with(|| Known::new(stream, newest.clone(), now));
        let leisure = leisure(stream);
        known.due = known.due.map(|due| if leisure < known.leisure { now } else { due });
        known.leisure = leisure;
        if known.uid != uid {
            *known = Known::new(stream, newest.clone(), now);
        } else if known.newest != *newest {
            known.newest = newest.clone();
            known.since = (now, Timestamp::now());
            known.prompts.clear();
            known.due = known.due.map(|_| now);
        } else {
            return;
        }
        self.news.notify_one();
    }

    pub fn forget(&self, stream: &ObjectRef<SseStream>) {
        self.known.lock().remove(stream);
    }

    /// What is known of the stream's nodes, as of the last time they were asked.
    pub fn of(&self, stream: &SseStream) -> Vec<Report> {
        self.known.lock().get(&ObjectRef::from_obj(stream)).map(|known| known.reports.clone()).unwrap_or_default()
    }

    /// What the stream's nodes tell at this moment.
    pub async fn ask(&self, pods: Vec<Report>) -> Vec<Report> {
        let asked = pods.into_iter().map(async |mut pod| {
            if let Some(ip) = pod.ip {
                let answer = self.client.stats(ip).await;
                pod.answered(answer, Instant::now());
            }
            pod
        });
        join_all(asked).await
    }

    /// How far they are with what they are to run. A pod that has not been asked yet is behind.
    pub fn progress(&self, stream: &SseStream, pods: Vec<Report>) -> Progress {
        let mut all = self.known.lock();
        let Some(known) = all.get_mut(&ObjectRef::from_obj(stream)) else { return Progress::default() };
        known.meet(pods);
        known.told = known.progress(Instant::now());
        if !known.told.is_over() {
            known.due = known.due.map(|due| due.min(Instant::now()));
            self.news.notify_one();
        }
        known.told.clone()
    }

    /// Streams whose time has come, and how long until the next one's.
    fn due(&self, at_leisure: usize) -> (Vec<(ObjectRef<SseStream>, bool)>, Duration) {
        let now = Instant::now();
        let (mut due, mut next, mut free) = (Vec::new(), LEISURE, AT_LEISURE.saturating_sub(at_leisure));
        for (stream, known) in self.known.lock().iter_mut() {
            let Some(at) = known.due else { continue };
            if at > now {
                next = next.min(at - now);
                continue;
            }
            let hurried = !known.told.is_over() || known.reports.is_empty();
            if !hurried && free == 0 {
                continue; // when one of those under way has ended
            }
            free -= usize::from(!hurried);
            known.due = None;
            due.push((stream.clone(), hurried));
        }
        (due, next)
    }
}

impl Known {
    fn new(stream: &SseStream, newest: Edition, now: Instant) -> Self {
        Self {
            uid: stream.uid().unwrap_or_default(),
            newest,
            since: (now, Timestamp::now()),
            reports: Vec::new(),
            prompts: HashMap::new(),
            told: Progress::default(),
            figures: Kept { figures: Figures::written(stream), at: None },
            leisure: leisure(stream),
            due: Some(now),
        }
    }

    /// The pods that there are now; of those that were there before, what they told stays known.
    fn meet(&mut self, pods: Vec<Report>) {
        let before = std::mem::take(&mut self.reports);
        let earlier = |pod: &Report| before.iter().find(|earlier| earlier.uid == pod.uid);
        self.reports = pods
            .into_iter()
            .map(|pod| {
                let earlier = earlier(&pod);
                pod.after(earlier)
            })
            .collect();
        self.prompts.retain(|uid, _| self.reports.iter().any(|report| report.uid == *uid));
    }

    fn progress(&self, now: Instant) -> Progress {
        Progress::of(&self.reports, &self.newest, self.since.0, now)
    }

    fn next(&self, now: Instant) -> Duration {
        match now.duration_since(self.since.0) {
            since if self.told.is_over() || since > IN_A_HURRY * 6 => self.leisure.mul_f64(0.9 + 0.2 * fastrand::f64()),
            since if since > IN_A_HURRY => HURRY * 5,
            _ => HURRY,
        }
    }
}

fn leisure(stream: &SseStream) -> Duration {
    if stream.spec.autoscaling.is_some() { SCALED } else { LEISURE }
}

/// Asks for ever.
pub async fn run(cx: &Arc<Context>) {
    let mut asking = FuturesUnordered::new();
    let mut at_leisure = 0;
    loop {
        let (due, next) = cx.nodes.due(at_leisure);
        for (stream, hurried) in due {
            at_leisure += usize::from(!hurried);
            asking.push(async move {
                round(cx, &stream).await;
                hurried
            });
        }
        tokio::select! {
            Some(hurried) = asking.next(), if !asking.is_empty() => at_leisure -= usize::from(!hurried),
            () = cx.nodes.news.notified() => {}
            () = sleep(next) => {}
        }
    }
}

/// Asks the nodes of one stream.
async fn round(cx: &Context, stream: &ObjectRef<SseStream>) {
    let pods = cx.pods.of(stream);
    let asked = pods.iter().map(async |pod| match pod.ip {
        Some(ip) => Some((pod.uid.clone(), cx.nodes.client.stats(ip).await)),
        None => None,
    });
    let mut answers: HashMap<_, _> = join_all(asked).await.into_iter().flatten().collect();
    let now = Instant::now();
    let (news, prompts, figures) = {
        let mut all = cx.nodes.known.lock();
        let Some(known) = all.get_mut(stream) else { return }; // it has gone
        known.meet(pods);
        for report in &mut known.reports {
            if let Some(answer) = answers.remove(&report.uid) {
                report.answered(answer, now);
            }
        }
        let progress = known.progress(now);
        let news = progress != known.told;
        known.told = progress;
        let mut prompts = Vec::new();
        for report in &known.reports {
            let had = known.prompts.get(&report.uid).copied();
            if let Some((value, had)) = prompt::due(report, &known.newest, known.since.1, had, now) {
                known.prompts.insert(report.uid.clone(), had);
                prompts.push((report.pod.clone(), value));
            }
        }
        let for_so_long = known.figures.at.map(|at| now.duration_since(at));
        let figures = Figures::of(&known.reports)
            .map(|figures| figures.or(known.figures.figures))
            .filter(|figures| figures.are_due(known.figures.figures, for_so_long))
            .map(|figures| (figures, known.uid.clone()));
        known.due = Some(now + known.next(now));
        (news, prompts, figures)
    };
    if news {
        cx.trigger.reconcile(stream.clone());
    }
    for (pod, value) in prompts {
        cx.metrics.write("Pod", "patch");
        if let Err(error) =
            prompt::prompt(&cx.client, stream.namespace.as_deref().unwrap_or_default(), &pod, &value).await
        {
            tracing::warn!(%error, namespace = stream.namespace, pod, "can't prompt the kubelet: it brings what has changed within two minutes");
        }
    }
    if let Some((figures, uid)) = figures {
        cx.metrics.write("SseStream", "figures");
        match figures::write(&cx.client, stream, &uid, figures).await {
            Ok(()) => {
                if let Some(known) = cx.nodes.known.lock().get_mut(stream) {
                    known.figures = Kept { figures, at: Some(now) };
                }
            }
            Err(error) => {
                tracing::warn!(%error, namespace = stream.namespace, stream = stream.name, "can't write figures");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;
    use crate::controller::fixtures;

    fn stream(name: &str) -> SseStream {
        let mut stream = fixtures::stream(fixtures::yaml("{}"));
        stream.metadata.name = Some(name.into());
        stream
    }

    fn edition(generation: i64) -> Edition {
        Edition { generation: Some(generation), secrets: None }
    }

    /// As after a round that found all well: it is asked again at leisure, which is now.
    fn settle(nodes: &Nodes) {
        let now = Instant::now();
        for known in nodes.known.lock().values_mut() {
            known.reports = vec![Report::of(&Pod::default(), now)];
            known.due = Some(now);
        }
    }

    #[test]
    fn a_stream_in_a_hurry_does_not_wait_behind_those_at_leisure() {
        let nodes = Nodes::default();
        for n in 0..AT_LEISURE * 2 {
            nodes.expect(&stream(&format!("quiet-{n}")), &edition(1));
        }
        assert_eq!(nodes.due(0).0.len(), AT_LEISURE * 2, "all that is new is asked at once");
        assert!(nodes.due(0).0.is_empty(), "they are being asked");
        settle(&nodes);
        let due = nodes.due(AT_LEISURE / 2).0;
        assert_eq!((due.len(), due.iter().any(|(_, hurried)| *hurried)), (AT_LEISURE / 2, false));
        nodes.expect(&stream("busy"), &edition(1));
        let due = nodes.due(AT_LEISURE).0;
        assert_eq!(due, [(ObjectRef::from_obj(&stream("busy")), true)]);
    }

    #[test]
    fn a_new_edition_is_asked_for_at_once_and_the_same_one_is_not() {
        let nodes = Nodes::default();
        nodes.expect(&stream("quotes"), &edition(1));
        settle(&nodes);
        nodes.known.lock().values_mut().for_each(|known| known.due = Some(Instant::now() + LEISURE));
        nodes.expect(&stream("quotes"), &edition(1));
        assert!(nodes.due(0).0.is_empty());
        nodes.expect(&stream("quotes"), &edition(2));
        assert_eq!(nodes.due(0).0.len(), 1);
        // Another stream of the same name is a stream of its own.
        let mut other = stream("quotes");
        other.metadata.uid = Some("another".into());
        nodes.expect(&other, &edition(1));
        assert!(nodes.of(&other).is_empty());
        nodes.forget(&ObjectRef::from_obj(&other));
        assert!(nodes.due(0).0.is_empty());
    }
}
