//! A managed Redis of topology Replicated: its primary dies, goes politely, and all of it dies at once, under publish.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::DeleteParams};
use serde_json::json;
use ssefleet_crds::names::{self, Component};
use ssefleet_tests::{
    Must, cluster, dial,
    exec::shell,
    figures, manifest,
    namespace::Namespace,
    publisher::{Published, per_second},
    sse::reader::Reader,
    stream::{STARTUP, Stream},
    wait,
};

async fn replicated(here: &Namespace, image: Option<&str>) -> Stream {
    let spec = json!({"broker": {"redis": {"managed": {"topology": "Replicated", "image": image}}}});
    let stream = here.apply(manifest::with(manifest::quickstart(), &spec)).await;
    stream.ready().await;
    all_ready(&stream, &[]).await;
    stream
}

/// Waits until there are three pods of Redis, none of them among `old`, all ready: in step, with their Sentinels.
pub async fn all_ready(stream: &Stream, old: &[Pod]) -> Vec<Pod> {
    let fresh = |pod: &Pod| old.iter().all(|old| old.uid() != pod.uid());
    let met = |pods: &[Pod]| pods.len() == 3 && pods.iter().all(|pod| fresh(pod) && dial::is_ready(pod));
    let what = "all pods of Redis are ready";
    wait::until_list(&stream.api(), stream.selected(Component::Redis), what, STARTUP, met).await
}

/// The pod of the primary, as the pods themselves see it.
pub async fn primary(stream: &Stream) -> String {
    for pod in 0..3 {
        let pod = format!("{}-{pod}", names::redis(&stream.name));
        let script = ". /etc/redis/lib.sh; . /etc/redis/replicas.sh; primary";
        if let Some(host) = shell(stream, &pod, "redis", script).await {
            return host.split('.').next().unwrap_or_default().to_owned();
        }
    }
    panic!("no pod of Redis knows the primary")
}

/// Ends a pod as a failed host does: its Redis first, as what Kubernetes calls at once leaves it two seconds, in which it would
/// hand over.
pub async fn kill(stream: &Stream, pod: &str) {
    let shutdown = ". /etc/redis/lib.sh; ask $here $port shutdown nosave now force";
    shell(stream, pod, "redis", shutdown).await; // nobody is left to answer
    let pods: Api<Pod> = stream.api();
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    pods.delete(pod, &at_once).await.must(format_args!("delete pod {pod} at once"));
}

/// Every reader got all that was acknowledged, without reconnecting; what it was like is a figure.
pub async fn nothing_lost(name: &str, readers: &mut [Reader], published: &Published, began: Instant) {
    let (mut pause, subscribers) = (Duration::ZERO, readers.len());
    for reader in readers {
        let received = reader.expect_published(published).await;
        assert_eq!(reader.connections(), 1, "a subscriber was disconnected");
        let after = received.iter().map(|event| event.at).filter(|at| *at > began).collect::<Vec<_>>();
        pause = pause.max(after.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default());
    }
    let answered: Vec<_> = published.acknowledged().map(|sent| sent.answered).filter(|at| *at > began).collect();
    let unanswered = answered.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    figures::record(
        name,
        &format!(
            "{} acknowledged, all received once and in order by each of {subscribers} subscribers; {} refused; longest pause {:.1} s between answers, {:.1} s between events; no subscriber disconnected",
            published.acknowledged().count(),
            published.refused().count(),
            unanswered.as_secs_f64(),
            pause.as_secs_f64(),
        ),
    );
}

#[tokio::test]
async fn a_redis_primary_that_dies_or_goes_takes_nothing_acknowledged_with_it() {
    let cluster = cluster().await;
    let here = cluster.namespace("primary").await;
    let stream = replicated(&here, None).await;

    let mut readers = [stream.subscribe().await, stream.subscribe().await, stream.subscribe().await];
    let mut publishing = stream.publish_numbers(1..=1_000_000, per_second(50));
    publishing.more_acknowledged(250).await;
    let first = primary(&stream).await;
    let old = stream.api::<Pod>().get(&first).await.must("read the primary's pod");
    let began = Instant::now();
    kill(&stream, &first).await;
    publishing.more_acknowledged(250).await;
    let published = publishing.stop().await;
    nothing_lost("Redis' primary killed (Replicated, confirm 1), 50 events/s", &mut readers, &published, began).await;
    all_ready(&stream, &[old]).await;
    let second = primary(&stream).await;
    assert_ne!(second, first);

    // A pod that is deleted in the ordinary way, as by a drain of its host, hands over before it goes.
    let mut readers = [stream.subscribe().await, stream.subscribe().await, stream.subscribe().await];
    let mut publishing = stream.publish_numbers(1_000_001..=2_000_000, per_second(50));
    publishing.more_acknowledged(100).await;
    let old = stream.api::<Pod>().get(&second).await.must("read the primary's pod");
    let began = Instant::now();
    stream.delete_pod(&second).await;
    publishing.more_acknowledged(250).await;
    let published = publishing.stop().await;
    nothing_lost("Redis' primary evicted (Replicated, confirm 1), 50 events/s", &mut readers, &published, began).await;
    all_ready(&stream, &[old]).await;
    assert_ne!(primary(&stream).await, second);
}

#[tokio::test]
async fn a_replicated_redis_that_dies_as_a_whole_is_back_with_all_that_was_acknowledged() {
    let cluster = cluster().await;
    let here = cluster.namespace("all-redis").await;
    let stream = replicated(&here, Some(&cluster.access.settings.redis_7)).await;
    let mut readers = [stream.subscribe().await, stream.subscribe().await, stream.subscribe().await];
    let mut publishing = stream.publish_numbers(1..=1_000_000, per_second(50));
    publishing.more_acknowledged(250).await;
    let pods: Api<Pod> = stream.api();
    let old = pods.list(&stream.selected(Component::Redis)).await.must("list the pods of Redis").items;
    let began = Instant::now();
    for pod in &old {
        kill(&stream, &pod.name_any()).await;
    }
    all_ready(&stream, &old).await;
    publishing.more_acknowledged(100).await;
    let published = publishing.stop().await;
    nothing_lost("all three pods of Redis killed at once, 50 events/s", &mut readers, &published, began).await;
}
