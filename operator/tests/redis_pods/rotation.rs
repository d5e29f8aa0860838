//! A changed password: good at once, beside the previous one, and nobody is disconnected.

use std::time::Instant;

use crate::{
    client::Client,
    pods::{PASSWORD, Pods},
};

const NEW: &str = r#"second:"quoted"\and#more"#;

fn good(pods: &Pods, pod: usize, port: u16, password: &str) -> bool {
    // As redis-cli sends it, whatever is in it.
    let mut cli = std::process::Command::new("redis-cli");
    cli.args(["-h", &pods.address(pod), "-p", &port.to_string(), "ping"]).env("REDISCLI_AUTH", password);
    cli.output().unwrap().stdout.starts_with(b"PONG")
}

#[test]
fn a_new_password_is_good_beside_the_previous_one_for_a_while_and_disconnects_nobody() {
    let pods = Pods::started("{}");
    let mut connected = Client::connect(&pods.address(0), 6379, PASSWORD).unwrap();
    assert!(!good(&pods, 0, 6379, NEW) && !good(&pods, 0, 6379, ""));
    pods.bring_password(0, NEW);
    pods.until("the new password is good", || good(&pods, 0, 6379, NEW));
    let since = Instant::now();
    assert!(good(&pods, 0, 6379, PASSWORD), "the previous one was dropped at once");
    pods.until("the previous password is bad", || !good(&pods, 0, 6379, PASSWORD));
    assert!(since.elapsed().as_secs() >= 5, "after {:?} already", since.elapsed());
    assert!(good(&pods, 0, 6379, NEW));
    assert!(connected.append(1, 0), "who was connected was disconnected");
}

#[test]
fn a_redis_that_restarts_meanwhile_takes_both() {
    let mut pods = Pods::started("{}");
    pods.bring_password(0, NEW);
    pods.until("the new password is good", || good(&pods, 0, 6379, NEW));
    pods.kill_redis(0);
    pods.start_redis(0);
    pods.until("it is back", || good(&pods, 0, 6379, NEW));
    assert!(good(&pods, 0, 6379, PASSWORD));
}

#[test]
fn replicas_and_sentinels_go_over_to_a_new_password_that_reaches_them_at_different_times() {
    let mut pods = Pods::started("{topology: Replicated}");
    let primary = pods.settled();
    let mut connected = pods.client(primary).unwrap();
    assert!(connected.append(1, 2));
    for pod in 0..3 {
        pods.bring_password(pod, NEW);
        pods.until("the new password is good", || good(&pods, pod, 6379, NEW) && good(&pods, pod, 26379, NEW));
        assert!(connected.append(2, 2), "the replicas have lost each other");
    }
    let bad = |pod| !good(&pods, pod, 6379, PASSWORD) && !good(&pods, pod, 26379, PASSWORD);
    pods.until("the previous password is bad everywhere", || (0..3).all(bad));
    assert!(connected.append(3, 2), "the replicas have lost each other");
    // All that connect anew show the new one: a replica to its primary, and Sentinels to all.
    let replica = (primary + 1) % 3;
    pods.kill_redis(replica);
    pods.start_redis(replica);
    pods.kill(primary);
    pods.start(primary);
    let now = pods.settled();
    assert_ne!(now, primary);
    assert_eq!(pods.log(now), [1, 2, 2, 2, 3]);
}
