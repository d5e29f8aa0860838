//! What one node revokes, all come to know: once, in order, and for as long as it holds.

use std::sync::Arc;

use sse_node::broker::{
    Broker, BrokerError, Retention,
    memory::Memory,
    revocation::{Mark, Revocation, Revoked},
};
use ssefleet_tests::redis::Server;

use crate::support::{KEY, MAX_EVENTS, redis};

fn token(jti: &str) -> Revocation {
    Revocation { revoked: Revoked::Token(jti.into()), until: 4_000_000_000 }
}

pub async fn tells_what_was_revoked(one: Arc<dyn Broker>, two: Arc<dyn Broker>) {
    let none = two.revocations(&Mark::default()).await.unwrap();
    assert!(none.revocations.is_empty() && !none.lost);
    let subject = Revocation { revoked: Revoked::Subject("ann ä\n".into(), 1_700_000_000), until: 4_000_000_000 };
    one.revoke(&token("1")).await.unwrap();
    one.revoke(&subject).await.unwrap();
    let first = two.revocations(&none.mark).await.unwrap();
    assert_eq!(first.revocations, [token("1"), subject.clone()]);
    two.revoke(&token("2")).await.unwrap();
    let second = two.revocations(&first.mark).await.unwrap();
    assert_eq!((&second.revocations[..], second.lost), (&[token("2")][..], false));
    assert!(two.revocations(&second.mark).await.unwrap().revocations.is_empty());
    let all = one.revocations(&Mark::default()).await.unwrap();
    assert_eq!(all.revocations, [token("1"), subject, token("2")]);
}

#[tokio::test]
async fn memory_tells_what_was_revoked() {
    let memory = Arc::new(Memory::new(Retention::of_events(MAX_EVENTS)));
    tells_what_was_revoked(memory.clone(), memory).await;
}

#[tokio::test]
async fn redis_tells_what_was_revoked() {
    let server = Server::start().await;
    tells_what_was_revoked(Arc::new(redis(&server)), Arc::new(redis(&server))).await;
    // Beside the log, where a Redis Cluster finds it.
    assert_eq!(server.command(&["XLEN", &format!("{{{KEY}}}:revoked")]).await, "3");
}

/// Though it has grown since, so that its newest is newer than what the node knows.
#[tokio::test]
async fn a_redis_that_lost_them_says_so() {
    let server = Server::start().await;
    let broker = redis(&server);
    broker.revoke(&token("1")).await.unwrap();
    let known = broker.revocations(&Mark::default()).await.unwrap().mark;
    server.command(&["FLUSHALL"]).await;
    let empty = broker.revocations(&known).await.unwrap();
    assert!(empty.lost && empty.revocations.is_empty());
    broker.revoke(&token("2")).await.unwrap();
    let found = broker.revocations(&known).await.unwrap();
    assert!(found.lost);
    assert_eq!(found.revocations, [token("2")]);
    assert!(!broker.revocations(&found.mark).await.unwrap().lost);
}

#[tokio::test]
async fn a_revocation_that_redis_can_not_take_is_an_error() {
    let server = Server::start().await;
    let broker = redis(&server);
    broker.open().await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = broker.revoke(&token("1")).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Full), "{refused}");
}
