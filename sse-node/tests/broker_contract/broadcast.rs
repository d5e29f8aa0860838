//! Messages that others PUBLISH on a channel.

use std::time::Duration;

use sse_node::broker::{Broadcasts, Broker, Retention, memory::Memory};
use ssefleet_tests::redis::Server;
use tokio::time::timeout;

use crate::support::redis;

const CHANNEL: &str = "sse-broadcast";

/// Publishes until somebody hears it.
pub async fn say(server: &Server, message: &str) {
    while server.command(&["PUBLISH", CHANNEL, message]).await == "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn hear(broadcasts: &mut (dyn Broadcasts + '_)) -> String {
    let hearing = async {
        loop {
            match broadcasts.next().await {
                Ok(message) => return message,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(Duration::from_secs(20), hearing).await.expect("no message came")
}

#[tokio::test]
async fn memory_has_no_channels() {
    assert!(Memory::new(Retention::of_events(1)).broadcasts(CHANNEL, 100).is_none());
}

#[tokio::test]
async fn every_listener_hears_what_is_published_in_order() {
    let server = Server::start().await;
    let (one, two) = (redis(&server), redis(&server));
    let (mut one, mut two) = (one.broadcasts(CHANNEL, 100).unwrap(), two.broadcasts(CHANNEL, 100).unwrap());
    let publish = async {
        while server.command(&["PUBSUB", "NUMSUB", CHANNEL]).await != format!("{CHANNEL}\n2") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for message in ["first", "äöü\n\nid: 7", &"x".repeat(101), &"x".repeat(100)] {
            say(&server, message).await;
        }
        server.command(&["PUBLISH", "another", "not this"]).await;
        say(&server, "last").await;
    };
    let listen = async |broadcasts: &mut (dyn Broadcasts + '_)| {
        let mut heard = Vec::new();
        for _ in 0..4 {
            heard.push(hear(broadcasts).await);
        }
        heard
    };
    let (first, second, ()) = tokio::join!(listen(&mut *one), listen(&mut *two), publish);
    assert_eq!(first, ["first", "äöü\n\nid: 7", &"x".repeat(100), "last"]);
    assert_eq!(second, first);
}

#[tokio::test]
async fn a_listener_whose_connection_ends_says_so_and_listens_again() {
    let mut server = Server::start().await;
    let broker = redis(&server);
    let mut broadcasts = broker.broadcasts(CHANNEL, 100).unwrap();
    let (heard, ()) = tokio::join!(hear(&mut *broadcasts), say(&server, "one"));
    assert_eq!(heard, "one");

    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let told = timeout(Duration::from_secs(5), broadcasts.next()).await.expect("a dead connection went unnoticed");
    assert!(told.is_err(), "{told:?}");
    let (heard, ()) = tokio::join!(hear(&mut *broadcasts), say(&server, "two"));
    assert_eq!(heard, "two");

    server.kill().await;
    assert!(broadcasts.next().await.is_err());
    assert!(broadcasts.next().await.is_err());
    server.restart().await;
    let (heard, ()) = tokio::join!(hear(&mut *broadcasts), say(&server, "three"));
    assert_eq!(heard, "three");
}

#[tokio::test]
async fn a_message_is_not_lost_by_who_stops_waiting_and_a_silence_is_no_end() {
    let server = Server::start().await;
    let broker = redis(&server);
    let mut broadcasts = broker.broadcasts(CHANNEL, 100).unwrap();
    // Longer than the silence after which the connection is tried.
    assert!(timeout(Duration::from_secs(11), broadcasts.next()).await.is_err());
    say(&server, "one").await;
    assert_eq!(broadcasts.next().await.unwrap(), "one");
}
