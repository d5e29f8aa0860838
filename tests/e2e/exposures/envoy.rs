//! What Envoy does unless it is told otherwise, beyond what `table` tries of every way in.

use futures_util::{StreamExt, stream::iter};
use serde_json::json;
use ssefleet_tests::{cluster, manifest, publisher::per_second, sse::reader::Reader};

use super::table;
use crate::figures::room_for_sockets;

/// Envoy has 1,024 requests at a time to one service, and streams are requests that are not over.
#[tokio::test]
async fn more_streams_than_envoy_has_requests_by_default_are_open_at_once() {
    const STREAMS: usize = 1100;
    room_for_sockets(2 * STREAMS as u64);
    let cluster = cluster().await;
    let way = table::envoy(cluster.access.settings.must_have_envoy());
    let here = cluster.namespace("envoy-many").await;
    let stream =
        way.apply(&here, manifest::with(manifest::memory(), &json!({"connections": {"maxPerPod": 2000}}))).await;
    stream.ready().await;
    let connecting = iter(0..STREAMS).map(|_| stream.subscribe()).buffer_unordered(50);
    let mut readers: Vec<Reader> = connecting.collect().await;
    stream.publish_numbers(1..=1, per_second(1)).all_acknowledged().await;
    for reader in &mut readers {
        reader.expect(1..=1).await;
        assert_eq!(reader.connections(), 1, "a subscriber was disconnected");
    }
}
