//! Redis stops, stands still, and comes back with all, less or nothing of the log.

use sse_node::broker::{Broker, BrokerError, Tailed};
use ssefleet_tests::redis::Server;
use tokio::time::Instant;

use crate::support::{all, append, data, follow, new, news, redis, seqs};

#[tokio::test]
async fn a_killed_redis_loses_nothing_it_acknowledged_and_the_tail_goes_on() {
    let mut server = Server::start().await;
    let broker = redis(&server);
    let begin = broker.open().await.unwrap().last;
    let mut tail = broker.tail(begin);
    append(&broker, 1..=2).await;
    follow(&mut *tail, 2).await;

    server.kill().await;
    assert!(matches!(broker.append(vec![new(0)]).await, Err(BrokerError::Away(_))));
    assert!(matches!(tail.next().await, Err(BrokerError::Away(_))));
    server.restart().await;

    assert_eq!(seqs(&append(&broker, [3]).await), [3]);
    assert_eq!(data(&follow(&mut *tail, 1).await), ["3"]);
    assert_eq!(data(&broker.read_after(begin, 10).await.unwrap()), ["1", "2", "3"]);
}

#[tokio::test]
async fn what_a_redis_that_syncs_always_acknowledged_is_there_after_a_crash() {
    let mut server = Server::start_as(&["--appendfsync", "always"]).await;
    let (one, two) = (redis(&server), redis(&server));
    let positions = [append(&one, 1..=20).await, append(&two, 21..=40).await].concat();
    server.kill().await;
    server.restart().await;
    // A node that was not there before finds the same log.
    let log = all(&redis(&server)).await;
    assert_eq!(log.iter().map(|event| event.position).collect::<Vec<_>>(), positions);
    let _ = two.open().await; // finds its connection dead
    assert_eq!(append(&two, [41]).await[0].seq, 41);
}

#[tokio::test]
async fn a_redis_without_a_disk_comes_back_with_another_log() {
    let mut server = Server::start_as(&["--appendonly", "no"]).await;
    let broker = redis(&server);
    let before = append(&broker, 1..=5).await;
    let mut tail = broker.tail(before[4]);
    server.kill().await;
    server.restart().await;
    let after = append(&redis(&server), [6]).await;
    assert!(after[0].epoch > before[4].epoch);
    match news(&mut *tail).await {
        Tailed::Reset(extent) => assert!(extent.last.epoch >= after[0].epoch),
        Tailed::Events(events) => assert_eq!(events[0].position, after[0]),
    }
}

/// The node that appends first after the crash may not be the one that knows what was lost.
#[tokio::test]
async fn an_end_that_is_lost_in_a_crash_is_not_given_again_by_a_node_that_has_not_seen_it() {
    let mut server = Server::start_as(&["--appendonly", "no"]).await;
    let (knows, behind) = (redis(&server), redis(&server));
    append(&knows, 1..=3).await;
    behind.open().await.unwrap();
    server.command(&["SAVE"]).await;
    let lost = append(&knows, 4..=5).await;
    let mut tail = knows.tail(lost[1]);
    server.kill().await;
    server.restart().await;

    let _ = behind.open().await; // finds its connection dead
    let (after, news) = tokio::join!(append(&behind, 6..=9), async {
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        news(&mut *tail).await
    });
    assert!(after[0].epoch > lost[1].epoch, "{after:?} was given after {lost:?}");
    assert!(matches!(news, Tailed::Reset(_)), "{news:?}");
    assert_eq!(data(&follow(&mut *tail, 4).await), ["6", "7", "8", "9"]);
}

#[tokio::test]
async fn an_append_on_a_new_connection_looks_first_whether_the_end_is_lost() {
    let mut server = Server::start_as(&["--appendonly", "no"]).await;
    let broker = redis(&server);
    append(&broker, 1..=3).await;
    server.command(&["SAVE"]).await;
    let lost = append(&broker, 4..=5).await;
    server.kill().await;
    server.restart().await;
    let _ = broker.append(vec![new(0)]).await; // finds its connection dead
    let after = append(&broker, [6]).await;
    assert!(after[0].epoch > lost[1].epoch, "{after:?} was given after {lost:?}");
}

#[tokio::test]
async fn a_redis_that_stands_still_is_away_and_loses_nothing() {
    let server = Server::start().await;
    let broker = redis(&server);
    let begin = broker.open().await.unwrap().last;
    let mut tail = broker.tail(begin);
    append(&broker, [1]).await;
    follow(&mut *tail, 1).await;

    // For a moment: whoever publishes waits.
    server.command(&["CLIENT", "PAUSE", "1000", "ALL"]).await;
    let asked = Instant::now();
    assert_eq!(seqs(&append(&broker, [2]).await), [2]);
    assert!(asked.elapsed().as_millis() > 500);

    // For longer than an answer may take: publishers are told that they can't know.
    server.command(&["CLIENT", "PAUSE", "7000", "ALL"]).await;
    let error = broker.append(vec![new(3)]).await.unwrap_err();
    assert!(matches!(error, BrokerError::Away(_)) && error.may_have_stored(), "{error}");
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    append(&broker, [4]).await;
    let log = all(&broker).await;
    let stored = data(&log);
    assert!(stored == ["1", "2", "3", "4"] || stored == ["1", "2", "4"], "{stored:?}");
    assert_eq!(log.last().unwrap().position.seq, stored.len() as u64);
    let mut followed = vec![];
    while followed.len() < log.len() - 1 {
        match news(&mut *tail).await {
            Tailed::Events(events) => followed.extend(events),
            Tailed::Reset(extent) => panic!("a reset out of nowhere: {extent:?}"),
        }
    }
    assert_eq!(data(&followed), stored[1..]);
}

#[tokio::test]
async fn what_never_reached_redis_is_known_not_to_be_stored() {
    let mut server = Server::start().await;
    let broker = redis(&server);
    append(&broker, [1]).await;
    server.kill().await;
    let _ = broker.append(vec![new(2)]).await; // finds its connection dead
    let error = broker.append(vec![new(3)]).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unready(_)) && !error.may_have_stored(), "{error}");
}
