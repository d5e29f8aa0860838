//! CORS through the ingress: the controller has no opinion of its own on it.

use serde_json::json;
use ssefleet_tests::{ask::Ask, cluster};

use super::one_node;

#[tokio::test]
async fn pages_of_listed_origins_may_read_the_stream_and_others_are_not_even_named() {
    let cluster = cluster().await;
    let here = cluster.namespace("cors").await;
    let cors =
        json!({"allowedOrigins": ["https://app.example.com", "https://*.example.org"], "allowCredentials": true});
    let stream = here.apply(one_node(&json!({"cors": cors}))).await;
    stream.ready().await;
    stream.subscribe().await; // until the ingress knows the stream

    for origin in ["https://app.example.com", "https://a.example.org"] {
        let preflight =
            Ask::preflight("/events", origin).header("access-control-request-headers", "authorization, last-event-id");
        let told = stream.ask(&preflight).await;
        assert_eq!(told.status, 200);
        assert_eq!(told.header("access-control-allow-origin").as_deref(), Some(origin));
        assert_eq!(told.header("access-control-allow-credentials").as_deref(), Some("true"));
        assert_eq!(told.header("access-control-max-age").as_deref(), Some("600"));
        let allowed = told.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
        for name in ["authorization", "cache-control", "last-event-id"] {
            assert!(allowed.contains(name), "{name} is not among {allowed}");
        }
        let answer = stream.ask(&Ask::get("/events").header("origin", origin)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin").as_deref()), (200, Some(origin)));
        assert!(answer.header("vary").is_some_and(|vary| vary.to_lowercase().contains("origin")), "no Vary: Origin");
    }
    for origin in ["https://example.org", "https://app.example.com.evil.test", "null"] {
        for ask in [Ask::preflight("/events", origin), Ask::get("/events").header("origin", origin)] {
            let answer = stream.ask(&ask).await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
            assert!(!format!("{:?}", answer.headers).contains(origin), "{origin} is repeated");
        }
    }
}
