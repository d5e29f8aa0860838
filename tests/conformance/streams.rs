//! A stream's life as both libraries see it: events, their names, a connection that is lost, a node that dies.

use std::time::{Duration, Instant};

use serde_json::json;
use ssefleet_tests::{
    eventsource::{CONNECTING, Client, Library},
    redis,
};

use crate::{
    relay::Relay,
    servers::node::{Extras, Node},
};

/// Each scenario is a test with each library.
macro_rules! with_both_libraries {
    ($($scenario:ident)*) => {
        mod eventsource {
            $(#[tokio::test] async fn $scenario() { super::$scenario(ssefleet_tests::eventsource::Library::Node).await })*
        }
        mod chromium {
            $(#[tokio::test] async fn $scenario() { super::$scenario(ssefleet_tests::eventsource::Library::Chromium).await })*
        }
    };
}
pub(crate) use with_both_libraries;

with_both_libraries! {
    messages_and_named_events_arrive_as_they_were_published
    a_connection_that_is_cut_again_and_again_loses_and_repeats_nothing
    a_node_that_dies_is_replaced_by_another_and_nothing_is_lost
    the_next_try_comes_when_retry_says
}

async fn messages_and_named_events_arrive_as_they_were_published(library: Library) {
    let node = Node::start(json!({})).await;
    let mut client = Client::watch(library, json!({"url": node.url(), "events": ["trade"]}));
    client.opens().await;
    node.publish(&json!([
        {"data": "one\ntwo"},
        {"event": "trade", "data": {"price": 1}},
        {"event": "nobody-listens", "data": "x"},
        {"data": "größe 🦀"},
    ]))
    .await;
    assert_eq!(client.event().await, ("message".into(), "one\ntwo".into()));
    assert_eq!(client.event().await, ("trade".into(), "{\"price\":1}".into()));
    assert_eq!(client.event().await, ("message".into(), "größe 🦀".into()));
}

async fn a_connection_that_is_cut_again_and_again_loses_and_repeats_nothing(library: Library) {
    let node = Node::start(json!({"connections": {"retry": "200ms"}})).await;
    let relay = Relay::to(node.public).await;
    let mut client = Client::watch(library, json!({"url": relay.url()}));
    client.opens().await;
    for round in 0..4 {
        let numbers = |range: std::ops::Range<u32>| range.map(move |number| number + 10 * round);
        // It is connected, and in the middle of things.
        for number in numbers(0..3) {
            node.publish(&json!({"data": number})).await;
            assert_eq!(client.message().await, number.to_string());
        }
        for number in numbers(3..10) {
            node.publish(&json!({"data": number})).await;
            if number % 10 == 6 {
                relay.cut();
            }
        }
        for number in numbers(3..10) {
            assert_eq!(client.message().await, number.to_string());
        }
    }
    let asks = relay.answered(5).await;
    assert_eq!(asks[0].field("last-event-id"), None);
    assert!(asks[1..].iter().all(|ask| ask.field("last-event-id").is_some()), "{asks:#?}");
}

/// A stream begins with an id, in a block without data. By WHATWG HTML 9.2.6 it counts; the package `eventsource` 4.1
/// takes ids from events only, and a program that uses it gets what comes from its reconnect on.
#[tokio::test]
async fn cut_before_its_first_event_a_browser_still_misses_nothing_and_the_package_does() {
    for (library, knows_where_it_was) in [(Library::Chromium, true), (Library::Node, false)] {
        let node = Node::start(json!({"connections": {"retry": "200ms"}})).await;
        let relay = Relay::to(node.public).await;
        let mut client = Client::watch(library, json!({"url": relay.url()}));
        client.opens().await;
        relay.until("the first id", |asks| asks[0].answer.contains("\nid: ")).await;
        relay.cut();
        assert_eq!(client.error().await, CONNECTING);
        assert_eq!(relay.answered(2).await[1].field("last-event-id").is_some(), knows_where_it_was, "{library:?}");
    }
}

async fn a_node_that_dies_is_replaced_by_another_and_nothing_is_lost(library: Library) {
    let redis = redis::Server::start().await;
    let spec = json!({"connections": {"retry": "200ms"}});
    let extras = || Extras { arguments: vec!["--redis".into(), redis.url()], ..Extras::default() };
    let mut first = Node::start_with(spec.clone(), extras()).await;
    let second = Node::start_with(spec, extras()).await;
    let relay = Relay::to(first.public).await;
    let mut client = Client::watch(library, json!({"url": relay.url()}));
    client.opens().await;
    first.publish(&json!([{"data": 1}, {"data": 2}])).await;
    assert_eq!([client.message().await, client.message().await], ["1", "2"]);
    first.kill();
    assert_eq!(client.error().await, CONNECTING);
    second.publish(&json!([{"data": 3}])).await;
    relay.turn_to(second.public);
    second.publish(&json!([{"data": 4}])).await;
    assert_eq!([client.message().await, client.message().await], ["3", "4"]);
}

async fn the_next_try_comes_when_retry_says(library: Library) {
    let node = Node::start(json!({"connections": {"retry": "1500ms"}})).await;
    let relay = Relay::to(node.public).await;
    let mut client = Client::watch(library, json!({"url": relay.url()}));
    for round in 1..=2 {
        client.opens().await;
        let asks = relay.until("retry: is sent", |asks| asks.len() == round && asks[round - 1].retry().is_some()).await;
        // Jittered by the node, and by nobody after it.
        let retry = Duration::from_millis(asks[round - 1].retry().unwrap());
        let cut = Instant::now();
        relay.cut();
        assert_eq!(client.error().await, CONNECTING);
        let asks = relay.answered(round + 1).await;
        let waited = asks[round].at - cut;
        let late = waited.saturating_sub(retry);
        assert!(
            waited + Duration::from_millis(20) > retry && late < Duration::from_millis(900),
            "{waited:?} of {retry:?}"
        );
    }
}
