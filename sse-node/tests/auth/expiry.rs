//! A token ends, and with it the stream that it let in: with a word before, and not all at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    issuer::{Issuer, from_now},
    support::eventually,
    world::{SECRET, Secrets, node, shared, subscribe},
};

#[tokio::test]
async fn a_stream_says_that_its_token_expires_and_ends() {
    let secrets = Secrets::new();
    secrets.write("jwt", "secret", SECRET);
    let auth = json!({"jwt": {
        "keys": [{"secretRef": {"name": "jwt", "key": "secret"}}], "algorithms": ["HS256"], "leeway": "0s",
    }});
    let node = node(&auth, &secrets).await;
    let token = Issuer::shared(SECRET).token(&json!({"sub": "ann", "exp": from_now(4), "topics": "*"}));
    let begun = Instant::now();
    let (answer, mut stream) = subscribe(&node, "/events", &token).await;
    assert_eq!(answer.status, 200);
    let id = node.publish(json!({"data": "before"})).await.remove(0);
    let warning = format!("id: {id}\nevent: token-expiring\ndata: {{\"expiresIn\":1}}\n\n");
    let so_far = stream.until(&warning).await;
    assert!(so_far.contains("data: before"), "{so_far}");
    node.publish(json!({"data": "after"})).await;
    stream.until("data: after").await;
    let all = stream.read_all().await;
    assert!(all.contains("\n: the token has expired; come back with a new one\n\n"), "{all}");
    assert_eq!(all.matches("token-expiring").count(), 1, "{all}");
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(node.metric("ssefleet_node_connections_closed_total{reason=\"token_expired\"}").await, 1);
    eventually("it is of no use", async || subscribe(&node, "/events", &token).await.0.status == 401).await;
}

/// Issued together, they do not end together: each at a moment of its own.
#[tokio::test]
async fn tokens_of_one_moment_end_at_several() {
    let secrets = Secrets::new();
    secrets.write("jwt", "secret", SECRET);
    let node = node(&shared(), &secrets).await;
    // Over in 10 s by its leeway: a second is left after the warning, and the ends lie within half of it.
    let token = Issuer::shared(SECRET).token(&json!({"sub": "ann", "exp": from_now(0), "topics": "*"}));
    let mut ends = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (answer, mut stream) = subscribe(&node, "/events", &token).await;
        assert_eq!(answer.status, 200);
        ends.spawn(async move {
            stream.until("token-expiring").await;
            let told = Instant::now();
            stream.read_all().await;
            told.elapsed().as_millis()
        });
    }
    let mut ends = ends.join_all().await;
    ends.sort_unstable();
    assert!(ends[19] - ends[0] > 100, "{ends:?}");
}

#[tokio::test]
async fn nobody_can_publish_that_a_token_expires() {
    let node = node(&json!({}), &Secrets::new()).await;
    let (status, told) = node.post("/publish", None, r#"{"event":"token-expiring","data":"x"}"#).await;
    assert!(status == 400 && told.contains("the fleet's own words"), "{told}");
}
