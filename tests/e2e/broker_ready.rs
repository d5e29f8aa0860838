//! BrokerReady says which part of an external Redis fails, and which field to change.

use serde_json::json;
use ssefleet_tests::{
    Must, cluster, manifest,
    publisher::per_second,
    stream::{STARTUP, condition},
};

#[tokio::test]
async fn a_wrong_host_port_password_or_scheme_is_told_apart() {
    let cluster = cluster().await;
    let here = cluster.namespace("broker-ready").await;
    // Another stream's Redis is as external as any.
    let other = here.apply(manifest::stream("other", &json!({"fleet": {"replicas": 1}}))).await;
    other.ready().await;
    let password = ssefleet_tests::exec::shell(&other, "other-redis-0", "redis", "cat /run/redis/password").await;
    let password = password.must("read the other's password");
    here.create_secret("right", &[("password", &password)]).await;
    here.create_secret("wrong", &[("password", "guessed")]).await;

    let external = |url: &str, secret: &str| {
        let secret = json!({"name": secret, "key": "password"});
        json!({"fleet": {"replicas": 1}, "broker": {"redis": {"managed": null, "external": {"url": url, "passwordSecretRef": secret}}}})
    };
    let stream = here.apply(manifest::stream("mine", &external("redis://nowhere:6379/0", "right"))).await;
    for (url, secret, reason, field) in [
        ("redis://nowhere:6379/0", "right", "DnsFailed", "spec.broker.redis.external.url"),
        ("redis://other-redis:6380/0", "right", "ConnectionFailed", "spec.broker.redis.external.url"),
        ("rediss://other-redis:6379/0", "right", "TlsFailed", "external.tls.caSecretRef"),
        ("redis://other-redis:6379/0", "wrong", "AuthFailed", "passwordSecretRef"),
    ] {
        stream.edit_spec(external(url, secret)).await;
        let what = format!("BrokerReady is {reason}");
        let met =
            |stream: &ssefleet_crds::SseStream| condition(stream, "BrokerReady").is_some_and(|c| c.reason == reason);
        let told = stream.until(&what, STARTUP, met).await;
        let message = &condition(&told, "BrokerReady").must("read the condition").message;
        assert!(message.contains(field) && !message.contains(&password), "{message}");
    }
    stream.edit_spec(external("redis://other-redis:6379/0", "right")).await;
    stream.ready().await;
    stream.publish_numbers(1..=1, per_second(1)).all_acknowledged().await;
}
