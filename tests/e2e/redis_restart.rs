//! Redis goes away and comes back: subscribers stay, and what was acknowledged arrives once.

use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use ssefleet_crds::names::Component;
use ssefleet_tests::{cluster, dial, figures, manifest, publisher::per_second, stream::STARTUP, wait};

#[tokio::test]
async fn a_redis_restart_loses_no_acknowledged_event_and_no_subscriber() {
    let cluster = cluster().await;
    let here = cluster.namespace("redis").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    let mut readers = [stream.subscribe().await, stream.subscribe().await, stream.subscribe().await];
    let mut publishing = stream.publish_numbers(1..=1_000_000, per_second(50));
    publishing.more_acknowledged(250).await;

    let redis = stream.api::<Pod>();
    let running = wait::until_list(&redis, stream.selected(Component::Redis), "Redis runs", STARTUP, |pods| {
        pods.iter().all(dial::is_ready) && !pods.is_empty()
    });
    let old = running.await[0].clone();
    let began = Instant::now();
    stream.delete_pod(&old.name_any()).await;
    wait::until(&redis, &old.name_any(), "Redis is back", STARTUP, |pod| {
        pod.is_some_and(|pod| pod.uid() != old.uid() && dial::is_ready(pod))
    })
    .await;
    publishing.more_acknowledged(250).await;
    let published = publishing.stop().await;

    for reader in &mut readers {
        reader.expect_published(&published).await;
        assert_eq!(reader.connections(), 1, "a subscriber was disconnected");
    }
    let outage = published.acknowledged().filter(|attempt| attempt.answered > began);
    let outage = outage.map(|attempt| attempt.answered).collect::<Vec<_>>();
    let longest = outage.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    let (stored, refused) = (published.acknowledged().count(), published.refused().count());
    figures::record(
        "Redis restarted at 50 events/s",
        &format!(
            "{stored} acknowledged, all received once; {refused} refused; longest pause {:.1} s; no subscriber disconnected",
            longest.as_secs_f64()
        ),
    );
}
