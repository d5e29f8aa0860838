//! How Redis is reached, and what it may refuse.

use std::path::PathBuf;

use sse_node::broker::{
    Broker, BrokerError, Retention,
    redis::{Address, Redis},
};
use ssefleet_tests::redis::Server;

use crate::support::{KEY, MAX_EVENTS, address, append, new, redis, seqs};

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
