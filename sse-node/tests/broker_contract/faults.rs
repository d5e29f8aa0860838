//! What is said when Redis is not as it should be: which part fails, and which field to look at.

use std::time::Duration;

use sse_node::broker::{
    Broker, BrokerError, Retention,
    redis::{Address, Redis, Topology},
};
use ssefleet_crds::{part::Part, validated::Confirm};
use ssefleet_tests::redis::{
    Server,
    cluster::Cluster,
    sentinel::{Group, MASTER},
};

use crate::support::{KEY, MAX_EVENTS, address, append, new, redis};

async fn at(address: Address) -> BrokerError {
    let broker = Redis::new(address, KEY.into(), Retention::of_events(MAX_EVENTS));
    broker.open().await.expect_err("it opens all the same")
}

/// The part that fails is this, and the sentence says that.
fn says(error: &BrokerError, part: Part, words: &str) {
    let told = error.to_string();
    assert!(error.part() == part && told.contains(words), "{:?}: {told}", error.part());
    assert!(!told.contains("hunter2"), "{told}");
}

fn sentinels(url: String, master_name: &str) -> Address {
    let topology = Topology::Sentinel { master_name: master_name.into(), username: None, password: None };
    Address { topology, ..Address::new(url) }
}

#[tokio::test]
async fn each_step_of_a_connection_that_fails_is_told_from_the_others() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut server = Server::start().await;
    let tls = Server::start_tls().await;
    says(&at(Address::new("redis://no-such-host.invalid:1")).await, Part::Dns, "no-such-host.invalid has no address");
    says(&at(Address::new(server.url().replace("redis:", "rediss:"))).await, Part::Tls, "tls.caSecretRef");
    says(&at(Address::new(tls.url())).await, Part::Tls, "tls.caSecretRef");
    says(&at(Address::new(tls.url().replace("rediss:", "redis:"))).await, Part::Tcp, "begins with rediss://");

    server.freeze(true);
    says(&at(address(&server)).await, Part::Tcp, "says nothing");
    server.freeze(false);
    server.kill().await;
    says(&at(address(&server)).await, Part::Tcp, &format!("no connection to localhost:{} comes about", server.port()));
}

#[tokio::test]
async fn who_may_not_come_in_is_told_by_which_secret() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "hunter2").unwrap();
    let with_password = Address { password: Some(password), ..address(&server) };
    server.command(&["ACL", "SETUSER", "nobody", "on", ">hunter2", "~*", "+get", "+@connection"]).await;
    let username = dir.path().join("username");
    std::fs::write(&username, "nobody").unwrap();
    let nobody = Address { username: Some(username), ..with_password.clone() };
    says(&at(nobody).await, Part::Auth, "docs/redis.md");

    server.command(&["CONFIG", "SET", "requirepass", "right"]).await;
    says(&at(with_password).await, Part::Auth, "passwordSecretRef");
    says(&at(address(&server)).await, Part::Auth, "passwordSecretRef");
    let absent = Address { password: Some(dir.path().join("absent")), ..address(&server) };
    says(&at(absent).await, Part::Secret, "absent can't be read");
}

#[tokio::test]
async fn a_redis_that_can_not_be_written_to_says_why() {
    let server = Server::start().await;
    let broker = redis(&server);
    append(&broker, [1]).await;
    // Which has the log: to open it there, nothing need be written.
    let replica = Server::start_as(&["--replicaof", &format!("localhost {}", server.port())]).await;
    while !replica.command(&["INFO", "replication"]).await.contains("master_link_status:up") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    says(&at(address(&replica)).await, Part::ReadOnly, "external.url must lead to the primary");

    for (setting, value, back, part, words) in [
        ("maxmemory", "1", "0", Part::Memory, "raise its memory limit"),
        ("min-replicas-to-write", "2", "0", Part::Replication, "min-replicas-to-write"),
    ] {
        server.command(&["CONFIG", "SET", setting, value]).await;
        for batch in [vec![new(2)], vec![new(2), new(3)]] {
            let error = broker.append(batch).await.unwrap_err();
            says(&error, part, words);
            assert!(!error.may_have_stored());
        }
        server.command(&["CONFIG", "SET", setting, back]).await;
    }
    assert_eq!(append(&broker, [2]).await[0].seq, 2);
}

/// And neither is anybody shown what no replica has.
#[tokio::test]
async fn what_too_few_replicas_confirm_is_neither_acknowledged_nor_shown_until_they_do() {
    let server = Server::start().await;
    let confirm = Confirm { replicas: 1, timeout: Duration::from_millis(100) };
    let broker = redis(&server).confirmed(confirm);
    let begin = broker.open().await.unwrap().last;
    let error = broker.append(vec![new(1)]).await.unwrap_err();
    says(&error, Part::Replication, "0 replicas of Redis have confirmed");
    assert!(error.may_have_stored());
    let mut tail = broker.tail(begin);
    assert!(matches!(tail.next().await, Err(BrokerError::Unconfirmed { have: 0, wanted: 1 })));
    assert_eq!(broker.read_after(begin, 10).await.unwrap(), []);

    // Without a replica there is nothing to wait for, if nothing is wanted any more.
    broker.confirm(Confirm { replicas: 0, ..confirm });
    assert_eq!(append(&broker, [2]).await[0].seq, 2);
    broker.confirm(Confirm { timeout: Duration::from_secs(5), ..confirm });
    let _replica = Server::start_as(&["--replicaof", &format!("localhost {}", server.port())]).await;
    let read = async {
        loop {
            if let sse_node::broker::Tailed::Events(events) = crate::support::news(&mut *tail).await {
                return crate::support::data(&events);
            }
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(30), read).await.expect("they are never shown");
    assert_eq!(read, ["1", "2"]);
    assert_eq!(append(&broker, [3]).await[0].seq, 3);
}

/// A retry finds what the first try has stored, and is acknowledged only when replicas have it too.
#[tokio::test]
async fn a_retry_of_what_was_not_confirmed_is_not_acknowledged_either() {
    let server = Server::start().await;
    let broker = redis(&server).confirmed(Confirm { replicas: 1, timeout: Duration::from_millis(100) });
    let once = || sse_node::broker::Once { key: "a".into(), fingerprint: "x".into() };
    let other = redis(&server).confirmed(Confirm { replicas: 1, timeout: Duration::from_millis(100) });
    for broker in [&broker, &broker, &other] {
        let error = broker.append_once(once(), vec![new(1)]).await.unwrap_err();
        assert!(matches!(error, BrokerError::Unconfirmed { .. }), "{error}");
    }
    assert_eq!(server.command(&["XLEN", KEY]).await, "1");
}

#[tokio::test]
async fn what_is_behind_the_url_must_be_what_the_topology_says() {
    let server = Server::start().await;
    says(&at(sentinels(server.url(), MASTER)).await, Part::Sentinel, "external.topology");
    let cluster = Address { topology: Topology::Cluster, ..address(&server) };
    says(&at(cluster).await, Part::Cluster, "external.topology");

    let cluster = Cluster::start(KEY).await;
    let other = &cluster.nodes[(cluster.owner().await + 1) % 3];
    says(&at(Address::new(other.url())).await, Part::Cluster, "topology must be Cluster");
}

#[tokio::test]
async fn sentinels_that_are_wrong_or_away_are_told_by_what_is_wrong() {
    let mut group = Group::start(&[]).await;
    says(
        &at(sentinels(group.url(), "other")).await,
        Part::Sentinel,
        "correct broker.redis.external.sentinel.masterName",
    );

    // Two Sentinels are no majority of three that could choose another primary: the third goes on naming the dead one.
    for sentinel in &mut group.sentinels[1..] {
        sentinel.kill().await;
    }
    let broker = Redis::new(sentinels(group.url(), MASTER), KEY.into(), Retention::of_events(MAX_EVENTS));
    append(&broker, [1]).await;
    group.servers[0].kill().await;
    let told = at(sentinels(group.url(), MASTER)).await;
    says(&told, Part::Tcp, &format!("no connection to localhost:{} comes about", group.servers[0].port()));

    group.sentinels[0].kill().await;
    says(&at(sentinels(group.url(), MASTER)).await, Part::Tcp, "comes about");
    // What was known before makes no difference.
    let _ = broker.open().await;
    says(&broker.open().await.unwrap_err(), Part::Tcp, "comes about");
}
