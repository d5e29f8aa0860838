//! What browsers outlive: a rollout, all nodes deleted at once, no node for a while, Redis away, a scale to one.
//!
//! An `EventSource` is over for good after one answer that is no stream, and only its page could tell. So by every way in
//! there are twenty of a real Chromium, on pages of another origin, while events are published without a pause.

use std::{future::Future, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use ssefleet_crds::{
    SseStream,
    names::{self, Component},
};
use ssefleet_tests::{
    Must, cluster, dial,
    eventsource::{CONNECTING, Client, Note},
    figures::record,
    helm::repository,
    manifest,
    namespace::Namespace,
    publisher::{Published, per_second},
    settings::Services,
    stream::{REACTION, STARTUP, Stream, is},
    wait,
};
use tokio::time::{Instant, sleep, timeout};

use super::table::{Way, ways};

const SOURCES: usize = 20;
/// A browser has at most six connections to a server for all that share its cookies, by HTTP/1.1.
const PER_TAB: usize = 5;
/// How long Redis is away, or all nodes: many times what a browser waits before it tries again, and longer than a
/// publisher waits for its answer.
const AWAY: Duration = Duration::from_secs(12);
/// Whoever knocks at a pod that has gone, as a busy kube-proxy has not heard of it, hears nothing for two minutes
/// (`tcp_syn_retries`) and then tries again.
const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn twenty_event_sources_by_every_way_in_outlive_whatever_happens_and_miss_nothing() {
    let mut cluster = cluster().await;
    cluster.alone().await; // so many pods, and a Chromium for each way, leave no room for others
    let settings = &cluster.access.settings;
    let direct = settings.services == Services::Direct;
    let (ways, left_out): (Vec<_>, Vec<_>) =
        ways(settings).into_iter().partition(|way| direct || !way.is_at_a_service());
    for way in left_out {
        record(&figure(&way), "not tried: a browser here does not reach Services of this cluster");
    }
    let prepared = ways.iter().map(async |way| (way, cluster.namespace(&format!("crowd-{}", way.short)).await));
    let prepared = join_all(prepared).await;
    join_all(prepared.iter().map(|(way, here)| outlive(way, here))).await;
}

fn figure(way: &Way) -> String {
    format!("{}: {SOURCES} EventSources of Chromium", way.name)
}

async fn outlive(way: &Way, here: &Namespace) {
    let spec = json!({
        "fleet": {"replicas": 2},
        "connections": {"retry": "1s"},
        "cors": {"allowedOrigins": ["*"]},
    });
    let stream = way.apply(here, manifest::with(manifest::quickstart(), &spec)).await;
    stream.ready().await;
    drop(stream.subscribe_to_each_node(2).await); // from now on the way in knows both
    let mut crowd = Crowd::open(way, &stream).await;

    crowd.outlives("a rollout", replace(&stream, roll(&stream)).boxed()).await;
    crowd.outlives("all nodes deleted", replace(&stream, delete(&stream, DeleteParams::default())).boxed()).await;
    let at_once = DeleteParams::default().grace_period(0);
    crowd.outlives("all nodes deleted without grace", replace(&stream, delete(&stream, at_once)).boxed()).await;
    let without = crowd.outlives("no node", without_nodes(&stream).boxed()).await;
    assert!(without > 0 || !way.has_a_proxy(), "{}: nobody was told to come back while there was no node", way.name);
    crowd.outlives("Redis away", without_redis(&stream).boxed()).await;
    crowd.outlives("a scale to one", scale_to_one(&stream).boxed()).await;

    let events: usize = crowd.sources.iter().map(|source| source.numbers.len()).sum();
    let outlived = crowd.outlived.join("; ");
    record(&figure(way), &format!("none closed; {events} events received, none lost, none twice; {outlived}"));
}

/// Both nodes go by this, and two others come.
async fn replace(stream: &Stream, going: impl Future<Output = ()>) {
    let old = stream.nodes(2).await;
    going.await;
    let are_new =
        |pods: &[Pod]| pods.len() == 2 && pods.iter().all(|pod| dial::is_ready(pod) && !old.contains(&pod.name_any()));
    let pods = stream.api::<Pod>();
    wait::until_list(&pods, stream.selected(Component::Node), "two new nodes are all", STARTUP, are_new).await;
    stream.ready().await;
}

async fn roll(stream: &Stream) {
    stream.edit_spec(json!({"fleet": {"pod": {"annotations": {"example.com/rolled": "1"}}}})).await;
}

async fn delete(stream: &Stream, how: DeleteParams) {
    let nodes = stream.selected(Component::Node);
    stream.api::<Pod>().delete_collection(&how, &nodes).await.must("delete all nodes");
}

async fn without_nodes(stream: &Stream) {
    stream.edit_spec(json!({"fleet": {"replicas": 0}})).await;
    stream.nodes(0).await;
    sleep(AWAY).await;
    stream.edit_spec(json!({"fleet": {"replicas": 2}})).await;
    stream.nodes(2).await;
    stream.ready().await;
}

/// The operator would bring it back at once, so it has to be paused meanwhile.
async fn without_redis(stream: &Stream) {
    pause(stream, json!("true")).await;
    let sets = stream.api::<StatefulSet>();
    let name = names::redis(&stream.name);
    let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
    sets.patch(&name, &PatchParams::default(), &none).await.must("scale Redis to zero");
    wait::until_gone(&stream.api::<Pod>(), &format!("{name}-0"), STARTUP).await;
    sleep(AWAY).await;
    pause(stream, Value::Null).await;
    wait::until(&sets, &name, "Redis is back", STARTUP, |set| {
        set.and_then(|set| set.status.as_ref()).is_some_and(|status| status.ready_replicas == Some(1))
    })
    .await;
    stream.ready().await;
}

async fn pause(stream: &Stream, value: Value) {
    let paused = !value.is_null();
    stream.edit(json!({"metadata": {"annotations": {"ssefleet.dev/paused": value}}})).await;
    let told = move |found: Option<&SseStream>| found.is_some_and(|found| is(found, "Paused", "True") == paused);
    wait::until(&stream.api(), &stream.name, "it says whether it is paused", REACTION, told).await;
}

async fn scale_to_one(stream: &Stream) {
    stream.edit_spec(json!({"fleet": {"replicas": 1}})).await;
    stream.ready().await;
    stream.nodes(1).await;
}

/// All EventSources by one way in, in one Chromium.
struct Crowd {
    way: &'static str,
    stream: Stream,
    client: Client,
    sources: Vec<Source>,
    /// What it is put through at the moment.
    trial: &'static str,
    /// Answers from nodes, and from what answers while there is none.
    answers: [usize; 2],
    /// What the browser has said about answers that it does not take.
    console: Vec<String>,
    /// The next number to publish.
    next: u64,
    /// What it was put through, for the figures.
    outlived: Vec<String>,
}

#[derive(Debug, Default)]
struct Source {
    is_open: bool,
    numbers: Vec<u64>,
}

impl Crowd {
    async fn open(way: &Way, stream: &Stream) -> Self {
        let address = dial::address(&stream.access, &stream.via).await.must(format_args!("reach {}", way.name));
        // A name of its own for each, also where nobody asks for it: what a page does is the same by all.
        let client = Client::chromium(&[format!("--host-resolver-rules=MAP {} {address}", stream.host)]);
        let mut crowd = Self {
            way: way.name,
            stream: stream.clone(),
            client,
            sources: (0..SOURCES).map(|_| Source::default()).collect(),
            trial: "the first connection",
            answers: [0; 2],
            console: Vec::new(),
            next: 1,
            outlived: Vec::new(),
        };
        let page = format!("file://{}/tests/clients/page.html", repository().display());
        for source in 0..SOURCES {
            let mut watch = json!({
                "tab": source / PER_TAB,
                "source": source,
                "url": format!("http://{}/events?topic=number", stream.host),
                "events": ["number", "gap", "reset"],
            });
            if source % PER_TAB == 0 {
                watch["page"] = json!(page);
                watch["answers"] = json!(true);
            }
            crowd.client.command(&watch);
        }
        crowd.until("all are open", |source| source.is_open).await;
        crowd
    }

    /// Events are published before, during and after the trial, and everybody gets them, in order, once. When none is
    /// acknowledged, as there is no node or no Redis, the publisher goes on with the next. Returns how often the way in has
    /// answered by itself.
    async fn outlives(&mut self, trial: &'static str, during: BoxFuture<'_, ()>) -> usize {
        self.trial = trial;
        let (begun, before) = (Instant::now(), self.answers);
        let mut publishing = self.stream.publish_numbers(self.next..=u64::MAX, per_second(5));
        publishing.more_acknowledged(5).await;
        during.await;
        let took = begun.elapsed();
        publishing.more_acknowledged(10).await;
        let published = publishing.stop().await;
        self.has_all_of(&published).await;
        let [nodes, others] = [0, 1].map(|who| self.answers[who] - before[who]);
        let refused = published.refused().count();
        self.outlived.push(format!(
            "{trial} ({:.0} s): {nodes} reconnects to nodes, {others} retry streams, {refused} publishes refused",
            took.as_secs_f64()
        ));
        others
    }

    async fn has_all_of(&mut self, published: &Published) {
        self.next = published.0.last().must("publish something").number + 1;
        let acknowledged: Vec<u64> = published.acknowledged().map(|attempt| attempt.number).collect();
        let last = acknowledged.last().copied();
        self.until("all have the newest event", |source| source.numbers.last().copied() >= last).await;
        for (name, source) in self.sources.iter().enumerate() {
            let missing: Vec<_> = acknowledged.iter().filter(|n| source.numbers.binary_search(n).is_err()).collect();
            assert!(missing.is_empty(), "{}, {}: EventSource {name} misses {missing:?}", self.way, self.trial);
        }
    }

    /// Takes note of what happens until this holds for each.
    async fn until(&mut self, what: &str, holds: impl Fn(&Source) -> bool) {
        let waited = timeout(PATIENCE, async {
            while !self.sources.iter().all(&holds) {
                let note = self.client.note().await;
                self.keep(note);
            }
        });
        let met = waited.await.is_ok();
        let late = self.sources.iter().enumerate().filter(|(_, source)| !holds(source));
        let late: Vec<_> = late.map(|(name, source)| (name, source.is_open, source.numbers.last())).collect();
        assert!(met, "{}, {}: in vain until {what}: {late:?} (which, open, last event)", self.way, self.trial);
    }

    fn keep(&mut self, note: Note) {
        let (way, trial) = (self.way, self.trial);
        match note {
            Note::Open { source } => self.sources[source as usize].is_open = true,
            Note::Error { source, ready_state } => {
                let said = &self.console[self.console.len().saturating_sub(5)..];
                assert_eq!(ready_state, CONNECTING, "{way}, {trial}: EventSource {source} is over after {said:?}");
                self.sources[source as usize].is_open = false;
            }
            Note::Event { source, r#type, data, .. } => {
                let number = data.parse().ok().filter(|_| r#type == "number");
                let number = number.must(format_args!("go on, {way}, {trial}: {source} is told {type}: {data}"));
                let numbers = &mut self.sources[source as usize].numbers;
                let last = numbers.last();
                assert!(last < Some(&number), "{way}, {trial}: {source} gets {number} after {last:?}");
                numbers.push(number);
            }
            Note::Answer { node, .. } => self.answers[usize::from(node.is_none())] += 1,
            Note::Text { text } => self.console.push(text),
        }
    }
}
