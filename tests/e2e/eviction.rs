//! Draining a host of the cluster evicts pods by the Eviction API, which asks the stream's PodDisruptionBudget: nodes go
//! one at a time, and whoever was connected goes on elsewhere.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, Config, api::EvictParams};
use ssefleet_tests::{Must, cluster, manifest, publisher::per_second, stream::REACTION};
use tokio::time::{Duration, Instant, sleep};

#[tokio::test]
async fn eviction_takes_one_node_at_a_time_and_no_event_is_lost() {
    let cluster = cluster().await;
    let here = cluster.namespace("eviction").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    let mut readers = stream.subscribe_to_each_node(2).await;
    let nodes = stream.nodes(2).await;
    let publishing = stream.publish_numbers(1..=300, per_second(20));
    // The usual client would ask again by itself, until the budget allows it.
    let mut config = Config::infer().await.must("find the cluster");
    config.default_retry = false;
    let pods: Api<Pod> = Api::namespaced(Client::try_from(config).must("make a client"), &stream.namespace);
    let evict = async |pod: &str| pods.evict(pod, &EvictParams::default()).await;

    evict(&nodes[0]).await.must("evict the first node");
    let refused = evict(&nodes[1]).await.err().must("be refused the second node");
    let is_too_many = matches!(&refused, kube::Error::Api(status) if status.code == 429);
    assert!(is_too_many && refused.to_string().contains("disruption budget"), "{refused}");
    // When the first has a successor, the second may go.
    let begun = Instant::now();
    while evict(&nodes[1]).await.is_err() {
        assert!(begun.elapsed() < REACTION * 2, "the second node is never let go");
        sleep(Duration::from_millis(200)).await;
    }
    let after = stream.nodes(2).await;
    assert!(after.iter().all(|node| !nodes.contains(node)), "{after:?} of {nodes:?}");
    let published = publishing.done().await;
    for reader in &mut readers {
        reader.expect_published(&published).await;
        assert!(reader.refusals().is_empty(), "a proxy answered {:?}", reader.refusals());
    }
}
