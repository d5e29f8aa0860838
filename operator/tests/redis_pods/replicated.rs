//! A primary, its replicas and their Sentinels, killed in every way.

use std::time::Instant;

use crate::pods::Pods;

const REPLICATED: &str = "{topology: Replicated}";

/// Writes to whoever is the primary until `enough` were confirmed by a replica after `event` took place, which it does
/// when a hundred were. Which ones were.
fn write_during(pods: &mut Pods, replicas: u32, event: impl FnOnce(&mut Pods, usize)) -> Vec<u32> {
    let (mut confirmed, mut event) = (Vec::new(), Some(event));
    let mut client = None;
    let mut after = None;
    for number in 0.. {
        if client.is_none() {
            client = pods.primary().and_then(|primary| pods.client(primary));
        }
        match client.as_mut().map(|client| client.append(number, replicas)) {
            Some(true) => confirmed.push(number),
            _ => client = None,
        }
        if confirmed.len() == 100
            && let Some(event) = event.take()
        {
            event(pods, pods.primary().unwrap());
            after = Some((Instant::now(), confirmed.len()));
        }
        if let Some((begun, before)) = after {
            if confirmed.len() >= before + 100 {
                break;
            }
            assert!(begun.elapsed().as_secs() < 60, "nothing is confirmed any more; of the pods:\n{}", pods.told());
        }
    }
    confirmed
}

/// What of `confirmed` the log of the primary lacks.
fn lost(pods: &Pods, confirmed: &[u32]) -> Vec<u32> {
    let log = pods.log(pods.settled());
    confirmed.iter().copied().filter(|number| !log.contains(number)).collect()
}

#[test]
fn a_primary_that_dies_is_replaced_and_takes_nothing_confirmed_with_it() {
    let mut pods = Pods::started(REPLICATED);
    let mut first = 0;
    let confirmed = write_during(&mut pods, 1, |pods, primary| {
        first = primary;
        pods.kill(primary);
    });
    pods.start(first);
    assert_eq!(lost(&pods, &confirmed), [0; 0]);
    assert_ne!(pods.settled(), first);
}

#[test]
fn a_sentinel_that_comes_while_the_primary_is_gone_knows_whom_to_choose_from() {
    let mut pods = Pods::started(REPLICATED);
    let primary = pods.settled();
    // The others leave it to that one.
    for pod in (0..3).filter(|pod| *pod != primary) {
        assert_eq!(pods.answer(pod, 26379, "SENTINEL SET ssefleet down-after-milliseconds 300000"), "OK");
    }
    pods.kill(primary);
    pods.start(primary);
    let fail_over = || pods.answer(primary, 26379, "SENTINEL FAILOVER ssefleet") == "OK";
    pods.until("its Sentinel makes another one the primary", fail_over);
    assert_ne!(pods.settled(), primary);
}

#[test]
fn a_primary_that_is_back_before_sentinels_replace_it_is_replaced_all_the_same() {
    let mut pods = Pods::started(REPLICATED);
    let primary = pods.settled();
    (0..10).for_each(|number| assert!(pods.client(primary).unwrap().append(number, 2)));
    // As if they were in TILT, which they are for half a minute when the machine has stalled them.
    (0..3).for_each(|pod| {
        assert_eq!(pods.answer(pod, 26379, "SENTINEL SET ssefleet down-after-milliseconds 300000"), "OK");
    });
    pods.kill(primary);
    pods.empty(primary);
    pods.start(primary);
    let now = pods.settled();
    assert_ne!(now, primary);
    assert_eq!(pods.log(now), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_primary_that_is_back_at_once_with_an_empty_volume_empties_nobody() {
    let mut pods = Pods::started(REPLICATED);
    let confirmed = write_during(&mut pods, 1, |pods, primary| {
        pods.kill(primary);
        pods.empty(primary);
        pods.start(primary);
    });
    assert_eq!(lost(&pods, &confirmed), [0; 0]);
}

#[test]
fn a_primary_that_is_stopped_hands_over_first_and_loses_nothing_that_nobody_confirmed() {
    let mut pods = Pods::started(REPLICATED);
    let mut took = None;
    let mut stopped = 0;
    let taken = write_during(&mut pods, 0, |pods, primary| {
        let begun = Instant::now();
        // The kubelet runs it beside the end of the other containers.
        assert!(pods.script(primary, "stop.sh").status().unwrap().success());
        took = Some(begun.elapsed());
        assert_ne!(pods.primary(), Some(primary), "it is the primary still");
        pods.kill(primary);
        stopped = primary;
    });
    assert!(took.unwrap().as_secs() < 10, "it took {took:?}");
    pods.start(stopped);
    assert_eq!(lost(&pods, &taken), [0; 0]);
}

#[test]
fn a_replica_that_stops_just_stops() {
    let pods = Pods::started(REPLICATED);
    let primary = pods.settled();
    let begun = Instant::now();
    assert!(pods.script((primary + 1) % 3, "stop.sh").status().unwrap().success());
    assert_eq!(pods.primary(), Some(primary));
    assert!(begun.elapsed().as_secs() < 3);
}

#[test]
fn all_gone_at_once_are_back_with_the_longest_log_whoever_comes_first() {
    let mut pods = Pods::started(REPLICATED);
    let first = pods.settled();
    let (behind, ahead) = ((first + 1) % 3, (first + 2) % 3);
    let confirm = |pods: &Pods, number| assert!(pods.client(first).unwrap().append(number, 1));
    (0..10).for_each(|number| confirm(&pods, number));
    pods.kill(behind);
    (10..20).for_each(|number| confirm(&pods, number));
    pods.kill(first);
    pods.kill(ahead);
    // Of three logs one is whole, one ends early and one is empty.
    pods.empty(first);
    for pod in [first, behind, ahead] {
        pods.start(pod);
    }
    assert_eq!(pods.settled(), ahead);
    assert_eq!(pods.log(ahead), (0..20).collect::<Vec<_>>());
}

#[test]
fn all_servers_that_die_at_once_are_back_while_their_sentinels_live() {
    let mut pods = Pods::started(REPLICATED);
    let primary = pods.settled();
    (0..10).for_each(|number| assert!(pods.client(primary).unwrap().append(number, 2)));
    (0..3).for_each(|pod| pods.kill_redis(pod));
    (0..3).for_each(|pod| pods.start_redis(pod));
    let now = pods.settled();
    assert_eq!(pods.log(now), (0..10).collect::<Vec<_>>());
}

#[test]
fn all_servers_that_die_at_once_are_back_though_the_one_that_sentinels_know_has_lost_its_log() {
    let mut pods = Pods::started(REPLICATED);
    let primary = pods.settled();
    (0..10).for_each(|number| assert!(pods.client(primary).unwrap().append(number, 2)));
    (0..3).for_each(|pod| pods.kill_redis(pod));
    pods.empty(primary);
    (0..3).for_each(|pod| pods.start_redis(pod));
    let now = pods.settled();
    assert_ne!(now, primary);
    assert_eq!(pods.log(now), (0..10).collect::<Vec<_>>());
    // And the Sentinels know it well enough to replace it.
    let confirmed = write_during(&mut pods, 1, Pods::kill);
    pods.start(now);
    assert_eq!(lost(&pods, &confirmed), [0; 0]);
}

#[test]
fn a_majority_goes_on_without_one_that_does_not_come_back() {
    let mut pods = Pods::started(REPLICATED);
    let primary = pods.settled();
    (0..10).for_each(|number| assert!(pods.client(primary).unwrap().append(number, 2)));
    (0..3).for_each(|pod| pods.kill(pod));
    let (one, other) = ((primary + 1) % 3, (primary + 2) % 3);
    pods.start(one);
    pods.start(other);
    let now = pods.settled_with(1);
    assert_eq!(pods.log(now), (0..10).collect::<Vec<_>>());
}

#[test]
fn two_of_three_that_were_away_for_long_come_back_to_what_the_third_has_kept() {
    let mut pods = Pods::started(REPLICATED);
    let primary = pods.settled();
    let (other, third) = ((primary + 1) % 3, (primary + 2) % 3);
    (0..10).for_each(|number| assert!(pods.client(primary).unwrap().append(number, 2)));
    assert_eq!(pods.answer(third, 26379, "SENTINEL SET ssefleet down-after-milliseconds 1000"), "OK");
    pods.kill(primary);
    pods.kill(other);
    // A Sentinel that comes back knows only then that the primary is gone, and takes no replica for its successor that lost
    // touch with it more than ten times its down-after-milliseconds before: that is 50 s.
    let long_ago = |info: String| {
        let seconds = info.lines().find_map(|line| line.strip_prefix("master_link_down_since_seconds:"));
        seconds.is_some_and(|seconds| seconds.trim().parse::<u32>().unwrap() > 51)
    };
    pods.until("the third has been alone for long", || long_ago(pods.answer(third, 6379, "INFO replication")));
    pods.empty(primary);
    pods.start(primary);
    pods.start(other);
    let now = pods.settled();
    assert_eq!(pods.log(now), (0..10).collect::<Vec<_>>());
}

#[test]
fn nothing_is_kept_and_yet_nothing_is_lost_while_one_pod_lives() {
    let mut pods = Pods::started("{topology: Replicated, persistence: None}");
    let confirmed = write_during(&mut pods, 1, |pods, primary| {
        pods.kill(primary);
        pods.empty(primary);
        pods.start(primary);
    });
    assert_eq!(lost(&pods, &confirmed), [0; 0]);
}
