//! A thousand streams: what they cost the operator and the API server.

use std::{
    collections::HashSet,
    env,
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream::iter};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use ssefleet_crds::SseStream;
use ssefleet_tests::{Must, apiserver::ApiServer, cluster::Object, figures::record, manifest, stream::is_current};
use tokio::time::{sleep, timeout};

use crate::{
    arena::{TURN, namespace},
    process::{Operator, Server},
};

const STREAMS: usize = 1000;
const EDITED: usize = 100;
/// What they may cost, in MiB: 60, and what of a program that is not optimised comes into memory as it runs, whose code is
/// several times as large.
const MEMORY: f64 = if cfg!(debug_assertions) { 70.0 } else { 60.0 };
/// Generous: a debug build on a machine that does other things.
const ALL: Duration = Duration::from_mins(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_are_brought_about_kept_and_cost_little() {
    let _turn = TURN.write().await;
    let server = ApiServer::shared().await;
    let admin = server.admin().await;
    let here = namespace(&admin, "thousand").await;
    let kubeconfig = server.kubeconfig("operator");
    let empty = Operator::start(Server::Kubeconfig(&kubeconfig), &[&here]);
    empty.until("ssefleet_operator_leader", 1.0, ALL).await;
    sleep(Duration::from_secs(2)).await; // its watches have begun
    let start = empty.resident();
    empty.kill().await;

    let streams: Api<SseStream> = Api::namespaced(admin.clone(), &here);
    iter(0..STREAMS).for_each_concurrent(16, |n| apply(&streams, n)).await;
    let begun = Instant::now();
    let operator = Operator::start(Server::Kubeconfig(&kubeconfig), &[&here]);
    until_all(&streams, watcher::Config::default(), "every stream has a status about its spec", is_current).await;
    let seconds = begun.elapsed().as_secs_f64();
    let writes = steady(&operator).await;
    record(
        "1,000 streams, managed Redis: the operator's start to a status of each",
        &format!("{seconds:.1} s; {writes} API writes"),
    );
    let resident = operator.resident();
    record(
        "operator RSS: at its start; with 1,000 streams",
        &format!("{start:.1} MiB; {resident:.1} MiB, {:.1} more", resident - start),
    );

    let quiet = env::var("SSEFLEET_STEADY_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(60);
    let before = operator.sum("ssefleet_operator_api_writes_total").await;
    sleep(Duration::from_secs(quiet)).await; // the steady state itself
    let made = operator.sum("ssefleet_operator_api_writes_total").await - before;
    record(&format!("API writes in a steady {quiet} s, 1,000 streams"), &format!("{made}"));

    let repair = repair(&admin, &here).await;
    record(
        "100 hand-edited Deployments among 1,000 streams, until repaired",
        &format!("{:.1} s", repair.as_secs_f64()),
    );

    operator.kill().await;
    let begun = Instant::now();
    let operator = Operator::start(Server::Kubeconfig(&kubeconfig), &[&here]);
    #[expect(clippy::cast_precision_loss, reason = "small")]
    operator.until(r#"ssefleet_operator_reconciles_total{result="ok"}"#, STREAMS as f64, ALL).await;
    let seconds = begun.elapsed().as_secs_f64();
    let statuses = operator.sum(r#"ssefleet_operator_api_writes_total{kind="SseStream",verb="status"}"#).await;
    let resident = operator.resident();
    record(
        "1,000 streams: the operator's restart to in sync",
        &format!("{seconds:.1} s; RSS {resident:.1} MiB, {statuses} statuses written"),
    );
    assert_eq!((made, statuses), (0.0, 0.0), "writes where nothing has changed");
    assert!(resident - start <= MEMORY, "{resident:.1} MiB with 1,000 streams, {start:.1} without");
}

async fn apply(streams: &Api<SseStream>, n: usize) {
    let name = format!("stream-{n}");
    let stream = manifest::stream(&name, &json!({}));
    let applied = streams.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&stream)).await;
    applied.must(format_args!("apply {name}"));
}

/// Waits until some seconds have brought no write; returns how many there were.
async fn steady(operator: &Operator) -> f64 {
    let begun = Instant::now();
    let mut last = f64::NAN;
    loop {
        let now = operator.sum("ssefleet_operator_api_writes_total").await;
        #[expect(clippy::float_cmp, reason = "whole numbers")]
        if now == last {
            return now;
        }
        assert!(begun.elapsed() < ALL, "it writes on and on: {now}");
        last = now;
        sleep(Duration::from_secs(15)).await; // a busy machine may hold the last of them up
    }
}

/// Edits some Deployments by hand, all at once; returns how long it takes until the last is as it was.
async fn repair(admin: &Client, here: &str) -> Duration {
    let deployments: Api<Deployment> = Api::namespaced(admin.clone(), here);
    let begun = Instant::now();
    iter(0..EDITED)
        .for_each_concurrent(16, |n| {
            let deployments = &deployments;
            async move {
                let patch = Patch::Merge(json!({"spec": {"replicas": 9}}));
                let patched = deployments.patch(&format!("stream-{n}"), &PatchParams::default(), &patch).await;
                patched.must("edit a Deployment");
            }
        })
        .await;
    let nodes = watcher::Config::default().labels("app.kubernetes.io/component=sse-node");
    let is_repaired = |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas) == Some(2);
    until_all(&deployments, nodes, "every Deployment is as it was", is_repaired).await;
    begun.elapsed()
}

/// Waits until there are as many objects as streams, and `met` holds for each.
async fn until_all<K: Object>(api: &Api<K>, which: watcher::Config, what: &str, met: impl Fn(&K) -> bool) {
    let watching = async {
        let mut objects = pin!(watcher(api.clone(), which).default_backoff().applied_objects());
        let mut missing: HashSet<String> = HashSet::new();
        let mut fine: HashSet<String> = HashSet::new();
        while fine.len() < STREAMS || !missing.is_empty() {
            let object = objects.try_next().await.must("watch").must("watch on");
            let name = object.name_any();
            let (to, from) = if met(&object) { (&mut fine, &mut missing) } else { (&mut missing, &mut fine) };
            from.remove(&name);
            to.insert(name);
        }
    };
    timeout(ALL, watching).await.must(format_args!("wait until {what}"));
}
