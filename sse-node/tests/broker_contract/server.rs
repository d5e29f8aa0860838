//! How Redis is reached, and what it may refuse.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use sse_node::{
    broker::{
        Broker, BrokerError, Once, Retention,
        pace::Ask,
        redis::{Address, Redis},
        revocation::{Mark, Revocation, Revoked},
    },
    limits::{
        counts::{Change, Entry, Outcome, Quota, What},
        key::{Asker, Key},
    },
};
use ssefleet_crds::rate_limits::Per;
use ssefleet_tests::redis::Server;

use crate::{
    support::{KEY, MAX_EVENTS, address, all, append, follow, new, redis, seqs},
    topologies::documented_user,
};

#[tokio::test]
async fn a_full_redis_refuses_and_keeps_what_it_has() {
    let server = Server::start().await;
    let broker = redis(&server);
    append(&broker, [1]).await;
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = broker.append(vec![new(2)]).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Full), "{refused}");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(seqs(&append(&broker, [3]).await), [2]);
}

#[tokio::test]
async fn a_key_that_is_something_else_is_left_alone() {
    let server = Server::start().await;
    server.command(&["SET", KEY, "mine"]).await;
    let refused = redis(&server).open().await.unwrap_err();
    assert!(matches!(refused, BrokerError::Refused(_)), "{refused}");
    assert_eq!(server.command(&["GET", KEY]).await, "mine");
}

#[tokio::test]
async fn a_password_is_read_anew_at_each_connection() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "first\n").unwrap();
    server.command(&["CONFIG", "SET", "requirepass", "first"]).await;
    let address = |password: &PathBuf| Address { password: Some(password.clone()), ..address(&server) };
    let broker = Redis::new(address(&password), "k".into(), Retention::of_events(MAX_EVENTS));
    append(&broker, [1]).await;

    server.command_with_password("first", &["CONFIG", "SET", "requirepass", "second"]).await;
    std::fs::write(&password, "second\n").unwrap();
    server.command_with_password("second", &["CLIENT", "KILL", "TYPE", "normal"]).await;
    // The connection that was killed is found out by the first command that uses it.
    let _ = broker.open().await;
    assert_eq!(seqs(&append(&broker, [2]).await), [2]);

    let wrong = Redis::new(address(&dir.path().join("none")), "k".into(), Retention::of_events(MAX_EVENTS));
    assert!(wrong.open().await.unwrap_err().to_string().contains("can't be read"));
}

#[tokio::test]
async fn redis_is_reached_by_tls_with_an_authority_of_ones_own() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server::start_tls().await;
    let trusted = Address { ca: Some(server.authority()), ..address(&server) };
    let broker = Redis::new(trusted, "k".into(), Retention::of_events(MAX_EVENTS));
    assert_eq!(seqs(&append(&broker, [1]).await), [1]);

    let untrusted = Redis::new(address(&server), "k".into(), Retention::of_events(MAX_EVENTS));
    assert!(untrusted.open().await.is_err());
}

/// docs/redis.md says what a user of the stream's own needs; it does.
#[tokio::test]
async fn a_user_with_the_documented_rights_can_do_all() {
    let server = Server::start().await;
    documented_user(&server).await;

    let dir = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let address = Address { username: secret("u", "ssefleet"), password: secret("p", "secret"), ..address(&server) };
    let broker = Redis::new(address, KEY.into(), Retention { bytes: 1000, ..Retention::of_events(MAX_EVENTS) });
    let first = append(&broker, 1..=100).await[0];
    let once = Once { key: "a".into(), fingerprint: "x".into() };
    broker.append_once(once, vec![new(101)]).await.unwrap();
    let revocation = Revocation { revoked: Revoked::Token("1".into()), until: 4_000_000_000 };
    broker.revoke(&revocation).await.unwrap();
    assert_eq!(broker.revocations(&Mark::default()).await.unwrap().revocations, [revocation]);
    // Following trims: a log that may take next to nothing keeps its newest event.
    let mut tail = broker.tail(first);
    follow(&mut *tail, 1).await;
    assert!(all(&broker).await.len() < 100);
    let (counts, limit) = (broker.counts().unwrap(), Quota { max: 10, window: Duration::from_mins(1) });
    let asker = Asker { peer: [127, 0, 0, 1].into(), subject: None, fields: &|_| Vec::new() };
    let key = Key::of(&asker, Per::ClientIp, None, &[]);
    let counting = async {
        let entry = Entry { member: 1, rate: Some((key, limit)), streams: Some((key, 10)) };
        assert_eq!(counts.enter(&entry).await.unwrap().outcome, Outcome::Admitted);
        assert!(counts.spend(key, limit, 1).await.unwrap().granted);
        let change = |what| Change { key, member: 1, what, until: Instant::now() + Duration::from_mins(1) };
        counts.settle(&[What::Stays, What::Left, What::Passed].map(change)).await.unwrap();
        assert_eq!(counts.enter(&entry).await.unwrap().outcome, Outcome::AdmittedByPass);
    };
    tokio::select! {
        () = counting => {}
        () = counts.keep() => {}
    }
    let ask = Ask { count: 1, each: Duration::from_millis(5), node: "node-0".into() };
    assert_eq!(broker.turn(&ask).await.unwrap().nodes, 1);
    let mut broadcasts = broker.broadcasts("sse-broadcast", 100).unwrap();
    let say = async {
        while server.command(&["PUBLISH", "sse-broadcast", "hello"]).await == "0" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let (heard, ()) = tokio::join!(broadcasts.next(), say);
    assert_eq!(heard.unwrap(), "hello");
}
