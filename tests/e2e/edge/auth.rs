//! `auth.jwt`, by `examples/edge.yaml`: a Secret that comes late, what a token opens, and a key that is taken away.

use serde_json::json;
use ssefleet_tests::{
    Must,
    ask::Ask,
    cluster, manifest,
    stream::{REACTION, RELOAD, condition, is},
};

use super::token::{secret, sign};

#[tokio::test]
async fn a_token_opens_its_topics_and_a_key_that_is_taken_away_ends_its_streams() {
    let cluster = cluster().await;
    let here = cluster.namespace("auth").await;
    // How often one may come is another test's business.
    let wanted = manifest::with(manifest::example("edge"), &json!({"rateLimits": {"connect": null}}));
    let stream = here.apply(wanted).await;
    let told = stream.until("its Secret is missing", REACTION, |stream| is(stream, "Degraded", "True")).await;
    let message = &condition(&told, "Degraded").must("read the condition").message;
    assert!(message.starts_with("spec.auth.jwt.keys[0].secretRef: there is no Secret accounts-jwt"), "{message}");
    assert!(is(&told, "Ready", "False"), "{:?}", told.status);

    let (current, previous, next) = (secret(), secret(), secret());
    here.create_secret("accounts-jwt", &[("current", &current), ("previous", &previous)]).await;
    stream.ready().await;
    let nodes = stream.nodes(2).await;

    // The ones that stay, and the one that will have to go.
    let bearer = |token: &str| format!("Bearer {token}");
    let by_previous = bearer(&sign(&previous, "bob", &["orders.*"]));
    let mut stays = stream.subscribe_with("/events", &[("authorization", &by_previous)]).await;
    let token = sign(&current, "alice", &["orders.*", "news"]);
    let mut ends = stream.subscribe_with(&format!("/events?token={token}"), &[]).await;

    let none = stream.ask(&Ask::get("/events")).await;
    assert_eq!((none.status, none.header("www-authenticate").is_some()), (401, true));
    assert!(!none.error().await.is_empty());
    let forged = sign(&secret(), "alice", &["*"]);
    let refused = stream.ask(&Ask::get("/events").bearer(&forged)).await;
    assert_eq!(refused.status, 401);
    let error = refused.error().await;
    assert!(!error.contains(&forged), "the token is repeated: {error}");
    let refused = stream.ask(&Ask::get("/events?topic=trades").bearer(&token)).await;
    assert_eq!(refused.status, 403);
    assert!(refused.error().await.contains("trades"));

    // A subscription without topics is to all that is granted, and to nothing else.
    let event = |topic: &str, number: u64| json!({"topic": topic, "data": number.to_string()});
    let events = json!([event("trades", 1), event("orders.eu", 2), event("news", 3), event("orders.us", 4)]);
    stream.publisher().publish(&events).await.must("publish");
    for (reader, numbers) in [(&mut ends, &[2, 3, 4][..]), (&mut stays, &[2, 4])] {
        for &number in numbers {
            assert_eq!(reader.next().await.number(), number);
        }
    }

    // Another key takes the current one's place: by an edit of the Secret alone.
    here.edit_secret("accounts-jwt", json!({"stringData": {"current": next}})).await;
    let told = ends.refused(RELOAD).await;
    assert!(told.starts_with("401"), "its key is gone, and it is told {told}");
    let mut new =
        stream.subscribe_with("/events", &[("authorization", &bearer(&sign(&next, "carol", &["news"])))]).await;
    stream.publisher().publish(&json!([event("news", 5), event("orders.eu", 6)])).await.must("publish");
    assert_eq!(new.next().await.number(), 5);
    assert_eq!(stays.next().await.number(), 6);
    assert_eq!(stays.connections(), 1, "a stream of a key that is still there was ended");
    assert_eq!(stream.nodes(2).await, nodes, "pods were replaced");
}
