//! The Redis that the operator runs: its password changes under publish.

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{ResourceExt, api::DeleteParams};
use serde_json::json;
use ssefleet_crds::names::Component;
use ssefleet_tests::{
    Must, cluster,
    exec::shell,
    manifest,
    publisher::per_second,
    stream::{RELOAD, Stream, condition},
    wait,
};
use tokio::time::{Duration, Instant, sleep};

/// What Redis answers to a ping by whatever password the Secret holds now, or to the one given.
const PING: &str = "REDISCLI_AUTH=$(cat /etc/redis/auth/password) redis-cli ping";

/// Nothing tells when the kubelet has brought a file to a pod, and the keeper has seen it.
async fn until_said(stream: &Stream, script: &str, wanted: &str, what: &str) {
    let begun = Instant::now();
    loop {
        let said = shell(stream, "quotes-redis-0", "redis", script).await;
        if said.as_deref() == Some(wanted) {
            return;
        }
        assert!(begun.elapsed() < RELOAD, "waited in vain until {what}; {script} said {said:?}");
        sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn a_changed_password_loses_no_event_and_disconnects_nobody() {
    let cluster = cluster().await;
    let here = cluster.namespace("rotate").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    let mut readers = [stream.subscribe().await, stream.subscribe().await, stream.subscribe().await];
    let mut publishing = stream.publish_numbers(1..=1_000_000, per_second(20));
    publishing.more_acknowledged(20).await;
    let redis = stream.api::<Pod>().get("quotes-redis-0").await.must("read the pod of Redis").uid();

    // By hand, as the documentation says.
    here.edit_secret("quotes-redis", json!({"stringData": {"password": "changed-by-hand"}})).await;
    until_said(&stream, "cat /run/redis/password", "changed-by-hand", "Redis takes the new password").await;
    let both = format!("{PING}; REDISCLI_AUTH=$(cat /run/redis/previous) redis-cli ping");
    until_said(&stream, &both, "PONG\nPONG", "Redis takes both").await;
    // All nodes must connect anew, whichever of the two they know.
    until_said(
        &stream,
        "REDISCLI_AUTH=changed-by-hand redis-cli client kill type normal >/dev/null; echo done",
        "done",
        "all are cut off",
    )
    .await;
    publishing.more_acknowledged(100).await;
    // A node that is new knows only the new one.
    stream.edit_spec(json!({"fleet": {"replicas": 3}})).await;
    stream.nodes(3).await;

    // And by deleting it: the operator makes another.
    let secrets = stream.api::<Secret>();
    let old = secrets.get("quotes-redis").await.must("read the Secret");
    secrets.delete("quotes-redis", &DeleteParams::default()).await.must("delete the Secret");
    wait::until(&secrets, "quotes-redis", "there is a new one", RELOAD, |secret| {
        secret.is_some_and(|secret| secret.uid() != old.uid())
    })
    .await;
    let changed = "[ \"$(cat /run/redis/password)\" != changed-by-hand ] && ".to_owned() + PING;
    until_said(&stream, &changed, "PONG", "Redis takes the one that the operator made").await;
    publishing.more_acknowledged(50).await;

    let published = publishing.stop().await;
    for reader in &mut readers {
        reader.expect_published(&published).await;
        assert_eq!(reader.connections(), 1, "a subscriber was disconnected");
    }
    let now = stream.api::<Pod>().get("quotes-redis-0").await.must("read the pod of Redis");
    assert_eq!(now.uid(), redis, "Redis was restarted");
    let restarts = now.status.and_then(|status| status.container_statuses).into_iter().flatten();
    assert_eq!(restarts.map(|container| container.restart_count).sum::<i32>(), 0);
}

#[tokio::test]
async fn a_redis_that_keeps_nothing_says_so_and_begins_anew() {
    let cluster = cluster().await;
    let here = cluster.namespace("nothing-kept").await;
    let image = &cluster.access.settings.redis_7;
    let spec = json!({"broker": {"redis": {"managed": {"persistence": "None", "image": image}}}});
    let stream = here.apply(manifest::with(manifest::quickstart(), &spec)).await;
    let told = stream.ready().await;
    let message = &condition(&told, "BrokerReady").must("read the condition").message;
    assert!(message.contains("loses all events"), "{message}");
    let mut reader = stream.subscribe().await;
    stream.publish_numbers(1..=3, per_second(10)).all_acknowledged().await;
    reader.expect(1..=3).await;

    let pods = stream.api::<Pod>();
    let old = pods.get("quotes-redis-0").await.must("read the pod of Redis");
    stream.delete_pod("quotes-redis-0").await;
    wait::until_list(&pods, stream.selected(Component::Redis), "Redis is back", RELOAD, |pods| {
        pods.iter().all(|pod| pod.uid() != old.uid() && ssefleet_tests::dial::is_ready(pod)) && !pods.is_empty()
    })
    .await;
    stream.ready().await;
    assert_eq!(reader.next().await.event.event, "reset", "the loss is told");
    let mut late = stream.subscribe().await;
    stream.publish_numbers(4..=4, per_second(1)).all_acknowledged().await;
    let mut next = late.next().await;
    if next.event.event == "reset" {
        next = late.next().await; // its node had not yet seen the loss when it came
    }
    assert_eq!(next.event.data, "4");
    assert_eq!(reader.connections(), 1, "a subscriber was disconnected");
}

#[tokio::test]
async fn a_changed_memory_limit_rolls_redis() {
    let cluster = cluster().await;
    let here = cluster.namespace("roll").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    let pods = stream.api::<Pod>();
    let before = pods.get("quotes-redis-0").await.must("read the pod of Redis");
    let limit = json!({"broker": {"redis": {"managed": {"resources": {"limits": {"memory": "256Mi"}}}}}});
    stream.edit_spec(limit).await;
    let met =
        |pod: Option<&Pod>| pod.is_some_and(|pod| pod.uid() != before.uid() && ssefleet_tests::dial::is_ready(pod));
    wait::until(&pods, "quotes-redis-0", "Redis runs with the new limit", RELOAD, met).await;
    let keeps = "REDISCLI_AUTH=$(cat /run/redis/password) redis-cli config get maxmemory | tail -n 1";
    until_said(&stream, keeps, "201326592", "it keeps under three quarters of it").await;
}
