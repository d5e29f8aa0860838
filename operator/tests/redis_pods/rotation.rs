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

/// Ends every connection to the servers and the Sentinels, but those that ask for it.
fn break_connections(pods: &Pods) {
    for pod in 0..3 {
        for (port, of) in [(6379, "replica"), (6379, "pubsub"), (6379, "normal"), (26379, "normal")] {
            let ended = pods.say(pod, port, NEW, &format!("CLIENT KILL TYPE {of}"));
            assert!(ended.is_some_and(|count| count.parse::<u32>().is_ok()));
        }
    }
}

/// How many milliseconds ago a Sentinel had a good answer of each that it knows: the primary, its replicas, the Sentinels.
fn heard(pods: &Pods, pod: usize) -> Vec<u128> {
    let known = ["MASTER", "REPLICAS", "SENTINELS"];
    let known = known.map(|of| pods.answer(pod, 26379, &format!("SENTINEL {of} ssefleet"))).join(" ");
    let words: Vec<&str> = known.split_whitespace().collect();
    let answers = words.windows(2).filter(|pair| pair[0] == "last-ok-ping-reply");
    answers.map(|pair| pair[1].parse().unwrap()).collect()
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
    let mut pods = Pods::of("{}");
    pods.forget = "600"; // however long the restart takes
    pods.start(0);
    pods.settled();
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
    // Connections outlive the password that they began with. All that connect anew show the new one: replicas to their
    // primary, and Sentinels to servers and to each other.
    break_connections(&pods);
    let broken = Instant::now();
    connected = pods.client(primary).unwrap();
    pods.until("both replicas are back", || connected.append(4, 2));
    pods.until("each Sentinel is in touch again with the servers and the others", || {
        let since = broken.elapsed().as_millis();
        (0..3).all(|pod| {
            let heard = heard(&pods, pod);
            heard.len() == 5 && heard.iter().all(|ago| *ago < since)
        })
    });
    assert_eq!(pods.primary(), Some(primary), "another one became the primary meanwhile");
    // And so do a replica that starts again, and those whose primary is gone.
    let replica = (primary + 1) % 3;
    pods.kill_redis(replica);
    pods.start_redis(replica);
    pods.kill(primary);
    pods.start(primary);
    let now = pods.settled();
    assert_ne!(now, primary);
    let mut log = pods.log(now);
    log.dedup(); // what was not confirmed at once was appended again
    assert_eq!(log, [1, 2, 3, 4]);
}
