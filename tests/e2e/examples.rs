//! Every manifest in `examples/` is applied.

use ssefleet_tests::{cluster, manifest};

#[tokio::test]
async fn the_memory_example_becomes_ready() {
    let cluster = cluster().await;
    let here = cluster.namespace("memory").await;
    here.apply(manifest::memory()).await.ready().await;
}

/// `quickstart` is what most tests apply; `external_redis.rs` has the one that needs a Redis, `edge/auth.rs`
/// the one that needs keys.
#[test]
fn no_example_is_without_a_test() {
    assert_eq!(manifest::examples(), ["edge", "external-redis", "memory", "quickstart"], "a new example needs a test");
}
