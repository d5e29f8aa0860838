//! How many streams one may have at a time.

use serde_json::json;
use ssefleet_tests::redis::Server;

use crate::{
    raw::{BROWSER, alone, among, ask},
    support::eventually,
};

#[tokio::test]
async fn a_stream_more_than_one_may_have_is_refused_until_one_is_closed() {
    let node =
        alone(&json!({"concurrent": {"max": 2, "message": "two is enough"}}), json!({"connections": {"retry": "2s"}}))
            .await;
    let (first, second) = (ask(node.public, "").await, ask(node.public, "").await);
    assert!(first.is_in() && second.is_in());
    assert!(!first.head.contains("ratelimit"), "there is no window to tell of: {}", first.head);

    let refused = ask(node.public, "").await;
    let after = refused.number("retry-after");
    assert!((1..=3).contains(&after), "{after}");
    assert_eq!(
        refused.steady_head(),
        format!(
            "HTTP/1.1 429 Too Many Requests\ncontent-type: application/problem+json\nretry-after: {after}\ncontent-length: 88\n\n"
        )
    );
    assert!(refused.body().await.contains("\"error\":\"two is enough\""));
    let refused = ask(node.public, BROWSER).await;
    assert_eq!((refused.status(), refused.field("x-sse-connection")), (200, None));
    assert!(refused.body().await.ends_with(": two is enough\n\n"));
    assert_eq!(node.metric("ssefleet_node_connections_refused_total{reason=\"too_many_streams\"}").await, 2);

    drop(first);
    eventually("a place is free", async || ask(node.public, "").await.is_in()).await;
    drop(second);
}

#[tokio::test]
async fn streams_are_counted_over_all_nodes() {
    let server = Server::start().await;
    let limits = json!({"concurrent": {"max": 3}});
    let (a, b) = (among(&server, &limits, json!({})).await, among(&server, &limits, json!({})).await);
    let held = [ask(a.public, "").await, ask(b.public, "").await, ask(b.public, "").await];
    assert!(held.iter().all(crate::raw::Client::is_in));
    for node in [&a, &b] {
        assert_eq!(ask(node.public, "").await.status(), 429);
    }
    let [on_a, _one, _two] = held;
    drop(on_a);
    eventually("a place is free on the other node", async || ask(b.public, "").await.is_in()).await;
}
