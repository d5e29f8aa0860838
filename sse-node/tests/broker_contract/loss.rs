//! A log that is lost, cut or taken away: readers are told, and no position is given twice.

use sse_node::{
    broker::{Broker, Extent, Tailed},
    event::Position,
};
use ssefleet_tests::redis::Server;

use crate::support::{KEY, all, append, data, follow, new, news, redis, redis_at, seqs};

#[tokio::test]
async fn a_log_that_was_lost_begins_anew_and_says_so() {
    let server = Server::start().await;
    let broker = redis(&server);
    let before = broker.open().await.unwrap();
    let mut tail = broker.tail(before.last);
    append(&broker, 1..=5).await;
    follow(&mut *tail, 5).await;

    server.command(&["FLUSHALL"]).await;
    let positions = append(&broker, [6]).await;
    assert!(positions[0].epoch > before.last.epoch);
    assert_eq!(positions[0].seq, 1);
    // The tail may see the reset, or the event of the new epoch at once; never an event of the old one.
    let news = tail.next().await.unwrap();
    match news {
        Tailed::Reset(extent) => assert_eq!(extent.last.epoch, positions[0].epoch),
        Tailed::Events(events) => assert_eq!(events[0].position, positions[0]),
    }
}

#[tokio::test]
async fn a_log_that_is_deleted_while_nothing_happens_is_noticed() {
    let server = Server::start().await;
    let broker = redis(&server);
    let before = broker.open().await.unwrap().last;
    let mut tail = broker.tail(before);
    let (news, ()) = tokio::join!(tail.next(), async {
        server.command(&["DEL", KEY]).await;
    });
    assert!(matches!(news.unwrap(), Tailed::Reset(extent) if extent.last.epoch > before.epoch && extent.last.seq == 0));
}

#[tokio::test]
async fn a_log_that_lost_its_end_never_gives_those_numbers_again() {
    let server = Server::start().await;
    let broker = redis(&server);
    let positions = append(&broker, 1..=5).await;
    let mut tail = broker.tail(positions[0].before());
    follow(&mut *tail, 5).await;

    // As a Redis that lost power comes back: the log is there, without what was not yet on the disk.
    for lost in &positions[3..] {
        server.command(&["XDEL", KEY, &format!("{}-{}", lost.epoch, lost.seq)]).await;
    }
    server.command(&["XSETID", KEY, &format!("{}-3", positions[0].epoch)]).await;

    let extent = broker.open().await.unwrap();
    assert!(extent.last.epoch > positions[4].epoch);
    assert_eq!(append(&broker, [6]).await, [extent.next()]);
}

#[tokio::test]
async fn what_is_trimmed_by_hand_leaves_a_hole_that_shows_in_the_positions() {
    let server = Server::start().await;
    let (broker, other) = (redis(&server), redis(&server));
    let positions = append(&broker, 1..=3).await;
    let mut tail = other.tail(positions[0]);
    append(&broker, 4..=9).await;
    server.command(&["XTRIM", KEY, "MAXLEN", "2"]).await;

    let first = Position { seq: 8, ..positions[0] };
    assert_eq!(broker.open().await.unwrap(), Extent { first, last: Position { seq: 9, ..first } });
    assert_eq!(broker.read_after(positions[0], 1).await.unwrap()[0].position, first);
    assert_eq!(follow(&mut *tail, 2).await[0].position, first);

    // Nothing is left: the next event to come is the first, and it is not one that was given before.
    server.command(&["XTRIM", KEY, "MAXLEN", "0"]).await;
    let extent = broker.open().await.unwrap();
    assert_eq!((extent.first.seq, extent.last.seq), (10, 9));
    assert_eq!(append(&broker, [10]).await, [extent.first]);
}

#[tokio::test]
async fn a_log_that_is_lost_while_the_clock_steps_back_gets_a_greater_epoch_all_the_same() {
    let server = Server::start().await;
    let before = append(&redis_at(&server, 1_000_000), 1..=3).await;
    assert_eq!(before[0].epoch, 1_000_000);

    // A node that has seen it, and whose clock is an hour behind by now.
    let broker = redis_at(&server, 400_000);
    assert_eq!(broker.open().await.unwrap().last, before[2]);
    server.command(&["FLUSHALL"]).await;
    let after = append(&broker, [4]).await;
    assert!(after[0].epoch > before[2].epoch, "{after:?}");
    assert_eq!(all(&broker).await[0].at, 400_000);
}

#[tokio::test]
async fn a_node_with_a_late_clock_that_knows_nothing_of_the_lost_log_is_put_right() {
    let server = Server::start().await;
    let knows = redis_at(&server, 1_000_000);
    let before = append(&knows, 1..=3).await;
    let mut tail = knows.tail(before[2]);
    server.command(&["FLUSHALL"]).await;

    let late = redis_at(&server, 400_000);
    let meanwhile = append(&late, [4]).await;
    assert!(meanwhile[0].epoch != before[0].epoch);
    let Tailed::Reset(extent) = news(&mut *tail).await else { panic!("no reset") };
    assert!(extent.last.epoch > before[0].epoch && extent.last.epoch > meanwhile[0].epoch);
    assert_eq!(append(&late, [5]).await, [extent.next()]);
}

#[tokio::test]
async fn connections_that_are_killed_while_many_publish_lose_and_repeat_nothing_acknowledged() {
    let server = Server::start().await;
    let broker = redis(&server);
    let other = redis(&server);
    broker.retain(sse_node::broker::Retention::of_events(100_000));
    let begin = broker.open().await.unwrap().last;
    let mut tail = other.tail(begin);
    let publish = async |from: u32| {
        let mut acknowledged = Vec::new();
        for data in from..from + 300 {
            if let Ok(positions) = broker.append(vec![new(data)]).await {
                acknowledged.push((positions[0], data.to_string()));
            }
        }
        acknowledged
    };
    let kill = async {
        for _ in 0..10 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            server.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        }
    };
    let (one, two, three, ()) = tokio::join!(publish(1000), publish(2000), publish(3000), kill);
    let acknowledged = [one, two, three].concat();
    assert!(acknowledged.len() > 300, "{}", acknowledged.len());

    let _ = broker.open().await;
    let log = all(&broker).await;
    assert_eq!(log.len() as u64, log.last().unwrap().position.seq, "positions have holes");
    for (position, data) in &acknowledged {
        let event = &log[usize::try_from(position.seq).unwrap() - 1];
        assert_eq!((&event.position, &event.new.data), (position, data));
    }
    let mut followed = Vec::new();
    while followed.len() < log.len() {
        match news(&mut *tail).await {
            Tailed::Events(events) => followed.extend(events),
            Tailed::Reset(_) => panic!("a reset out of nowhere"),
        }
    }
    assert_eq!(data(&followed), data(&log));
    assert_eq!(seqs(&followed.iter().map(|event| event.position).collect::<Vec<_>>()).len(), log.len());
}
