//! An operator that is killed right after any of its writes leaves nothing that the next one does not bring to the same
//! end: the same children, no other ones, and what was made up once stays.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use ssefleet_tests::{
    Must,
    faults::{Fault, What},
};
use tokio::time::sleep;

use crate::arena::{Arena, difference};

/// All that a stream can have at this time.
fn rich() -> Value {
    json!({"exposure": {"ingress": {"controller": "Traefik", "host": "quotes.test"}}})
}

/// What has less: no Redis, no second node, no Ingress.
fn plain() -> Value {
    json!({"broker": {"memory": {}}, "fleet": {"replicas": 1}})
}

#[tokio::test]
async fn an_operator_killed_at_any_write_of_a_first_reconcile_leaves_the_next_one_the_same_end() {
    same_end(&[rich()]).await;
}

#[tokio::test]
async fn an_operator_killed_at_any_write_of_a_change_leaves_the_next_one_the_same_end() {
    same_end(&[rich(), plain()]).await;
}

/// Applies all of `specs`, and lets an operator be killed after each of the writes that the last one takes.
async fn same_end(specs: &[Value]) {
    let (last, earlier) = specs.split_last().must("begin without a spec");
    let undisturbed = Arena::new("undisturbed").await;
    let began = before(&undisturbed, earlier).await;
    undisturbed.apply(last).await;
    let operator = undisturbed.operator();
    undisturbed.settled().await;
    operator.reconciled(1.0).await;
    let wanted = undisturbed.children().await;
    // A new operator applies what is there already once more, which changes nothing; it counts as well.
    let writes = undisturbed.proxy.writes().len() - began;
    assert!(writes >= wanted.len() - 1, "{writes} writes for {} children", wanted.len());
    drop(operator);

    for k in 1..=writes {
        let arena = undisturbed.another("killed").await;
        let began = before(&arena, earlier).await;
        arena.apply(last).await;
        let kept = killed_after(&arena, k).await;
        let done = arena.proxy.writes().len() - began;
        let operator = arena.operator();
        operator.reconciled(1.0).await;
        arena.settled().await;
        let found = arena.children().await;
        assert_eq!(difference(&wanted, &found), Vec::<String>::new(), "killed after write {k}");
        for (name, made) in kept {
            let now = arena.credentials().await.remove(&name);
            let stays = found.contains_key(&format!("Secret/{name}"));
            assert!(!stays || now.as_ref() == Some(&made), "Secret {name} was made again after write {k}");
        }
        let all = arena.proxy.writes().len() - began;
        assert!(
            all <= done + writes + 2,
            "{all} writes after a death at write {k}, where {writes} suffice undisturbed"
        );
    }
}

/// Brings the earlier specs about; returns how many writes that took.
async fn before(arena: &Arena, specs: &[Value]) -> usize {
    for spec in specs {
        arena.apply(spec).await;
        let operator = arena.operator();
        arena.settled().await;
        operator.reconciled(1.0).await;
    }
    arena.proxy.writes().len()
}

/// Runs an operator until the API server has done its `k`th write, of which it never hears, or, as a status may take one
/// write more or less, until it has settled with fewer; returns the credentials that there are then.
async fn killed_after(arena: &Arena, k: usize) -> BTreeMap<String, Value> {
    let victim = Arc::new(OnceLock::new());
    let kill = {
        let victim = victim.clone();
        move || kill_process(*victim.get().must("find the operator"), Signal::KILL).must("kill the operator")
    };
    arena.proxy.inject(Fault::nth_write(k, What::Then(Arc::new(kill))));
    let mut operator = arena.operator();
    // Known before the first write: the proxy runs on this thread.
    victim.set(Pid::from_raw(operator.pid()).must("use the operator's pid")).ok();
    let ended = tokio::select! {
        () = operator.ended() => true,
        () = silent(arena) => false,
    };
    arena.proxy.heal();
    if !ended {
        operator.kill().await;
    }
    arena.credentials().await
}

/// Waits until the operator has asked for nothing in a while, after it brought the stream to its end.
async fn silent(arena: &Arena) {
    arena.settled().await;
    let mut last = 0;
    loop {
        sleep(Duration::from_secs(5)).await;
        let now = arena.proxy.seen().len();
        if now == last {
            return;
        }
        last = now;
    }
}
