//! The contract of what counts, held to by both: a node by itself, and all by way of a real Redis.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use sse_node::broker::redis::{Address, Route};
use sse_node::limits::{
    counts::{Change, Counts, Entry, Outcome, Quota, Spent, Verdict, What},
    fleet::Fleet,
    key::{Asker, Key},
    local::Local,
};
use ssefleet_crds::rate_limits::Per;
use ssefleet_tests::redis::Server;
use tokio::time::sleep;

pub fn key(subject: &str) -> Key {
    let asker = Asker { peer: IpAddr::from([127, 0, 0, 1]), subject: Some(subject), fields: &|_| Vec::new() };
    Key::of(&asker, Per::Subject, None, &[])
}

fn quota(max: u32, millis: u64) -> Quota {
    Quota { max, window: Duration::from_millis(millis) }
}

fn change(key: Key, member: u64, what: What, millis: u64) -> Change {
    Change { key, member, what, until: Instant::now() + Duration::from_millis(millis) }
}

fn fleet(server: &Server) -> Arc<Fleet> {
    let address = Address::new(server.url());
    let fleet = Arc::new(Fleet::new(Route::new(address, "test".into()), "{test}:limit".into()));
    let keeps = fleet.clone();
    tokio::spawn(async move { keeps.keep().await });
    fleet
}

struct Counting<'a>(&'a dyn Counts);

impl Counting<'_> {
    async fn enter(&self, member: u64, rate: Option<(Key, Quota)>, streams: Option<(Key, u32)>) -> Verdict {
        self.0.enter(&Entry { member, rate, streams }).await.unwrap()
    }

    async fn outcome(&self, member: u64, rate: Option<(Key, Quota)>, streams: Option<(Key, u32)>) -> Outcome {
        self.enter(member, rate, streams).await.outcome
    }

    async fn spend(&self, key: Key, quota: Quota, cost: u32) -> Spent {
        self.0.spend(key, quota, cost).await.unwrap()
    }

    async fn settle(&self, changes: &[Change]) {
        self.0.settle(changes).await.unwrap();
    }
}

async fn keeps_the_contract(counts: &dyn Counts) {
    use Outcome::{Admitted, AdmittedByPass, TooFast, TooMany};
    let counting = Counting(counts);
    let long = |max| quota(max, 600_000);

    // However many ask at once, so many are let in; each learns how many are left.
    let many = (0..200).map(|n| counting.enter(n, Some((key("burst"), long(10))), None));
    let verdicts = join_all(many).await;
    let mut left: Vec<u32> = verdicts
        .iter()
        .filter(|verdict| verdict.outcome == Admitted)
        .map(|verdict| verdict.standing.unwrap().remaining)
        .collect();
    left.sort_unstable();
    assert_eq!(left, (0..10).collect::<Vec<_>>());
    let refused = verdicts.iter().find(|verdict| verdict.outcome == TooFast).unwrap().standing.unwrap();
    assert_eq!(refused.remaining, 0);
    assert!((590_000..=600_000).contains(&refused.reset.as_millis()), "{refused:?}");
    // Others are not concerned.
    assert_eq!(counting.outcome(900, Some((key("other"), long(10))), None).await, Admitted);

    // Who waits as long as it is told is let in; who was refused was not counted. Both finely and coarsely.
    for (name, max) in [("fine", 3), ("coarse", 100)] {
        let (key, quota) = (key(name), quota(max, 400));
        for _ in 0..2 {
            let begun = Instant::now();
            while counting.spend(key, quota, 1).await.granted {}
            let refused = counting.spend(key, quota, 1).await;
            assert!(!refused.granted && refused.standing.reset.as_millis() <= 407, "{refused:?}");
            sleep(refused.standing.reset).await;
            assert!(counting.spend(key, quota, 1).await.granted, "{refused:?} after {:?}", begun.elapsed());
            sleep(Duration::from_millis(407)).await;
            let all = counting.spend(key, quota, max).await;
            assert!(all.granted && all.standing.remaining == 0, "{all:?}");
            sleep(Duration::from_millis(407)).await;
        }
    }

    // Events are counted all or none.
    let events = key("events");
    assert_eq!(counting.spend(events, long(10), 7).await.standing.remaining, 3);
    assert!(!counting.spend(events, long(10), 4).await.granted);
    assert!(counting.spend(events, long(10), 3).await.granted);
    // A limit that was changed holds for what was counted before.
    assert_eq!(counting.spend(events, long(11), 1).await.standing.remaining, 0);
    assert!(!counting.spend(events, long(5), 1).await.granted);

    // Who publishes and subscribes under the same key is counted for each by itself.
    assert_eq!(counting.outcome(901, Some((events, long(1))), None).await, Admitted);
    assert!(counting.spend(key("other"), long(1), 1).await.granted);

    // A stream takes one of so many places until it leaves; nobody is counted who gets none.
    let (rate, two) = (Some((key("r"), long(4))), Some((key("s"), 2)));
    assert_eq!(counting.outcome(1, rate, two).await, Admitted);
    assert_eq!(counting.outcome(2, rate, two).await, Admitted);
    for n in 10..20 {
        assert_eq!(counting.outcome(n, rate, two).await, TooMany);
    }
    counting.settle(&[change(key("s"), 1, What::Left, 9000), change(key("s"), 1, What::Left, 9000)]).await;
    let verdict = counting.enter(3, rate, two).await;
    assert_eq!((verdict.outcome, verdict.standing.unwrap().remaining), (Admitted, 1));
    assert_eq!(counting.outcome(4, rate, two).await, TooMany);
    // One that stays has its place, and not a second one.
    counting.settle(&[change(key("s"), 3, What::Stays, 9000), change(key("s"), 3, What::Stays, 9000)]).await;
    counting.settle(&[change(key("s"), 3, What::Left, 9000)]).await;
    assert_eq!(counting.outcome(5, rate, two).await, Admitted);
    // One who comes too often does not take a place.
    counting.settle(&[change(key("s"), 5, What::Left, 9000)]).await;
    assert_eq!(counting.outcome(6, rate, two).await, TooFast);
    assert_eq!(counting.outcome(7, None, two).await, Admitted);
    assert_eq!(counting.outcome(8, None, two).await, TooMany);

    // A pass lets in one, once and uncounted; told twice it is one; it does not wait for ever.
    let (passes, one) = (key("p"), Some((key("p"), long(1))));
    let given = [change(passes, 1, What::Passed, 60_000), change(passes, 1, What::Passed, 60_000)];
    counting.settle(&given).await;
    assert_eq!(counting.outcome(1, one, None).await, AdmittedByPass);
    assert_eq!(counting.outcome(2, one, None).await, Admitted);
    assert_eq!(counting.outcome(3, one, None).await, TooFast);
    counting.settle(&[change(passes, 4, What::Passed, 60_000), change(passes, 5, What::Passed, 60_000)]).await;
    let both = [counting.outcome(6, one, None).await, counting.outcome(7, one, None).await];
    assert_eq!(both, [AdmittedByPass, AdmittedByPass]);
    assert_eq!(counting.outcome(8, one, None).await, TooFast);
    counting.settle(&[change(passes, 9, What::Passed, 100)]).await;
    sleep(Duration::from_millis(120)).await;
    assert_eq!(counting.outcome(10, one, None).await, TooFast);
    // It is not used up by one who has too many streams.
    counting.settle(&[change(passes, 11, What::Passed, 60_000)]).await;
    assert_eq!(counting.outcome(12, one, two).await, TooMany);
    assert_eq!(counting.outcome(13, one, None).await, AdmittedByPass);
}

#[tokio::test]
async fn a_node_by_itself_keeps_the_contract() {
    keeps_the_contract(&Local::default()).await;
}

#[tokio::test]
async fn redis_keeps_the_contract() {
    let server = Server::start().await;
    keeps_the_contract(&*fleet(&server)).await;
}

#[tokio::test]
async fn nodes_that_share_a_redis_count_together() {
    let server = Server::start().await;
    let (a, b) = (fleet(&server), fleet(&server));
    let streams = Some((key("s"), 3));
    // The numbers of streams are a node's own.
    for (node, outcome) in
        [(&a, Outcome::Admitted), (&b, Outcome::Admitted), (&a, Outcome::Admitted), (&b, Outcome::TooMany)]
            .into_iter()
            .enumerate()
            .map(|(n, (node, outcome))| ((node, n as u64 / 2), outcome))
    {
        assert_eq!(Counting(&**node.0).outcome(node.1, None, streams).await, outcome);
    }
    Counting(&*b).settle(&[change(key("s"), 0, What::Left, 9000)]).await;
    assert_eq!(Counting(&*a).outcome(7, None, streams).await, Outcome::Admitted);
    assert_eq!(Counting(&*b).outcome(7, None, streams).await, Outcome::TooMany);
}

#[tokio::test]
async fn what_lies_in_redis_expires_is_small_and_tells_no_secret() {
    let server = Server::start().await;
    let fleet = fleet(&server);
    let counting = Counting(&*fleet);
    for n in 0..10 {
        counting.enter(n, Some((key("hunter2"), quota(10, 900_000))), Some((key("hunter2"), 20))).await;
        sleep(Duration::from_millis(2)).await;
    }
    // In every slice of the window.
    for _ in 0..150 {
        counting.spend(key("hunter2"), quota(100_000_000, 1000), 1_000_000).await;
        sleep(Duration::from_millis(8)).await;
    }
    counting.settle(&[change(key("hunter2"), 1, What::Passed, 69_000)]).await;
    let keys = server.command(&["KEYS", "*"]).await;
    assert!(!keys.contains("hunter2"));
    let most = [("connects", 900_001, 256), ("streams", 30_000, 600), ("events", 1016, 1280), ("passes", 69_000, 200)];
    for (what, lifetime, bytes) in most {
        let key = keys.lines().find(|key| key.contains(what)).unwrap_or_else(|| panic!("no {what} in {keys}"));
        assert!(key.starts_with("{test}:limit:"), "{key}");
        let ttl: i64 = server.command(&["PTTL", key]).await.parse().unwrap();
        assert!(ttl > lifetime / 2 && ttl <= lifetime, "{key} for {ttl}");
        let usage: u64 = server.command(&["MEMORY", "USAGE", key]).await.parse().unwrap();
        assert!(usage <= bytes, "{key} takes {usage} bytes");
    }
    assert_eq!(keys.lines().count(), 4);
}
