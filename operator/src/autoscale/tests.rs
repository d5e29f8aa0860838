//! What the engine decides, by tables and for every load.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{
    decide::{Decision, Load, Node, Reading, Rules, Why, decide},
    history::{History, Pace},
};

const SECOND: Duration = Duration::from_secs(1);

fn rules() -> Rules {
    Rules {
        min: 1,
        max: 10,
        connections: 100,
        cpu: None,
        max_lag: None,
        up: Pace { window: Duration::ZERO, pods: 4, percent: 100, period: 15 * SECOND },
        down: Pace { window: 60 * SECOND, pods: 1, percent: 10, period: 30 * SECOND },
    }
}

fn node(connections: u64) -> Node {
    Node { connections, ..Node::default() }
}

fn settled(connections: &[u64]) -> Reading {
    Reading { nodes: connections.iter().copied().map(node).collect(), missing: 0, settled: true }
}

/// A fleet over time, whose nodes are there as soon as they are wanted.
struct World {
    rules: Rules,
    history: History,
    begun: Instant,
    now: Instant,
    current: i32,
}

impl World {
    fn new(rules: Rules, current: i32) -> Self {
        let now = Instant::now();
        Self { rules, history: History::new(now, current), begun: now, now, current }
    }

    /// After so many seconds.
    fn after(&mut self, seconds: u32, reading: &Reading) -> Decision {
        self.now += seconds * SECOND;
        let decision = decide(&self.rules, self.current, reading, &mut self.history, self.now);
        self.current = decision.desired;
        decision
    }

    /// The same load, spread over the nodes there are, until a number is reached; after how many seconds.
    fn until(&mut self, desired: i32, total: u64) -> u64 {
        for _ in 0..1000 {
            if self.current == desired {
                break;
            }
            let each = total / u64::try_from(self.current.max(1)).unwrap();
            let nodes = vec![each; usize::try_from(self.current).unwrap()];
            self.after(1, &settled(&nodes));
        }
        assert_eq!(self.current, desired);
        (self.now - self.begun).as_secs()
    }
}

#[test]
fn as_many_nodes_as_the_connections_take() {
    for (nodes, connections, desired) in [
        (1, &[300][..], 3),
        (1, &[301], 4),
        (1, &[110], 1), // within the tolerance
        (1, &[111], 2),
        (3, &[100, 105, 120], 3),
        (3, &[190, 100, 41], 4),
        (1, &[0], 1),
        (2, &[3000, 0], 6), // more at once is too fast
    ] {
        let mut world = World::new(rules(), nodes);
        assert_eq!(world.after(1, &settled(connections)).desired, desired, "{connections:?}");
    }
    let told = World::new(rules(), 1).after(1, &settled(&[300])).why;
    assert_eq!(told, Why::Load(Load::Connections { total: 300, target: 100 }));
    let Why::Load(load) = told else { return };
    assert_eq!(load.to_string(), "300 connections, target 100 a node");
}

#[test]
fn there_are_never_more_or_less_than_the_bounds_allow() {
    let bounds = Rules { min: 2, max: 3, ..rules() };
    let mut world = World::new(bounds, 3);
    assert_eq!(world.after(1, &settled(&[900, 900, 900])), Decision { desired: 3, why: Why::AtMost });
    let mut world = World::new(bounds, 1);
    assert_eq!(world.after(1, &settled(&[0])), Decision { desired: 2, why: Why::Bounds });
    // Also while the numbers are missing: whoever sets maxReplicas means it.
    let mut world = World::new(bounds, 9);
    assert_eq!(world.after(1, &Reading::default()), Decision { desired: 3, why: Why::Bounds });
}

#[test]
fn a_node_goes_only_when_a_whole_window_has_not_needed_it() {
    let mut world = World::new(rules(), 3);
    assert_eq!(world.after(1, &settled(&[10, 10, 10])).why, Why::Stabilizing);
    // A peak in between: the window begins anew.
    world.after(50, &settled(&[100, 100, 100]));
    assert_eq!(world.after(59, &settled(&[10, 10, 10])).why, Why::Stabilizing);
    assert_eq!(world.after(2, &settled(&[10, 10, 10])).desired, 2);
}

#[test]
fn nodes_go_one_by_one() {
    let mut world = World::new(rules(), 5);
    assert_eq!(world.until(4, 0), 60);
    assert_eq!(world.until(3, 0), 90);
    assert_eq!(world.until(1, 0), 150);
    // Of many, a tenth at a time.
    let mut world = World::new(Rules { max: 100, ..rules() }, 50);
    assert_eq!(world.until(45, 0), 60);
}

#[test]
fn nodes_come_at_the_declared_pace() {
    let mut world = World::new(Rules { max: 100, ..rules() }, 1);
    let decision = world.after(1, &settled(&[9900]));
    assert!(matches!(decision, Decision { desired: 5, why: Why::Pacing(_) }), "{decision:?}");
    assert_eq!(world.after(14, &settled(&[9900])).desired, 5);
    assert_eq!(world.after(1, &settled(&[9900])).desired, 10);
    assert_eq!(world.after(15, &settled(&[9900])).desired, 20);
    let slow = Pace { window: 30 * SECOND, ..rules().up };
    let mut world = World::new(Rules { up: slow, ..rules() }, 1);
    assert_eq!(world.after(1, &settled(&[300])).why, Why::Stabilizing);
    assert_eq!(world.after(28, &settled(&[300])).desired, 1);
    assert_eq!(world.after(31, &settled(&[300])).desired, 3);
}

#[test]
fn no_node_goes_while_numbers_are_missing_or_nodes_come_or_go() {
    let empty = settled(&[0, 0, 0]);
    for (reading, why) in [
        (Reading { missing: 1, ..settled(&[0, 0]) }, Why::Missing(1)),
        (Reading { settled: false, ..empty.clone() }, Why::Unsettled),
        (Reading { missing: 3, ..Reading::default() }, Why::Blind),
    ] {
        let mut world = World::new(rules(), 3);
        assert_eq!(world.after(500, &reading), Decision { desired: 3, why });
    }
    // But nodes are added: what is known is too little rather than too much.
    let mut world = World::new(rules(), 3);
    assert_eq!(world.after(1, &Reading { missing: 1, settled: false, ..settled(&[200, 200]) }).desired, 4);
}

#[test]
fn cpu_counts_where_a_target_is_given() {
    let busy = Reading {
        nodes: vec![Node { connections: 10, cpu: Some(0.9), lag: None }, Node { cpu: None, ..node(10) }],
        ..settled(&[])
    };
    let mut world = World::new(rules(), 2);
    assert_eq!(world.after(1, &busy).why, Why::Stabilizing);
    let mut world = World::new(Rules { cpu: Some(0.25), ..rules() }, 2);
    let decision = world.after(1, &busy);
    assert_eq!(decision, Decision { desired: 4, why: Why::Load(Load::Cpu { cores: 0.9, target: 0.25 }) });
}

#[test]
fn events_that_take_too_long_bring_one_node_more_at_a_time() {
    let late =
        |settled| Reading { nodes: vec![Node { lag: Some(2 * SECOND), ..node(10) }, node(10)], missing: 0, settled };
    let mut world = World::new(Rules { max_lag: Some(SECOND), ..rules() }, 2);
    assert_eq!(world.after(1, &late(true)).desired, 3);
    assert_eq!(world.after(20, &late(false)).desired, 3, "the new one does not serve yet");
    assert_eq!(world.after(20, &late(true)).desired, 4);
}

proptest! {
    #[test]
    fn whatever_comes_the_bounds_hold_and_no_node_goes_unseen(
        min in 1..5_i32,
        room in 0..20_i32,
        current in 0..40_i32,
        steps in prop::collection::vec((0..40_u32, 0..5000_u64, 0..3_usize, any::<bool>()), 1..60),
    ) {
        let rules = Rules { min, max: min + room, ..rules() };
        let mut world = World::new(rules, current);
        let mut gone = Vec::new();
        for (step, (seconds, total, missing, settled)) in steps.into_iter().enumerate() {
            let before = world.current;
            let nodes = usize::try_from(before).unwrap().saturating_sub(missing);
            let each = total / u64::try_from(before.max(1)).unwrap();
            let reading = Reading { nodes: vec![node(each); nodes], missing, settled };
            let decision = world.after(seconds, &reading);
            prop_assert!((min..=min + room).contains(&decision.desired));
            let bounds = step == 0 && !(min..=min + room).contains(&before);
            if decision.desired < before && !bounds {
                prop_assert!(missing == 0 && settled);
                prop_assert!(world.now - world.begun >= rules.down.window, "within the first window");
                gone.push((world.now, before - decision.desired));
            }
            if decision.desired > before && !bounds {
                prop_assert!(decision.desired <= (before * 2).max(before + 4));
            }
            // In any period no more than a node, or a tenth of those there were.
            let lately: i32 = gone.iter().filter(|(at, _)| world.now - *at < rules.down.period).map(|(_, by)| by).sum();
            prop_assert!(lately <= ((before + lately) / 10).max(1));
        }
    }

    #[test]
    fn a_steady_load_comes_to_rest(total in 0..3000_u64, current in 1..30_i32) {
        let mut world = World::new(Rules { max: 50, ..rules() }, current);
        let mut still = 0;
        for _ in 0..3000 {
            let before = world.current;
            let count = u64::try_from(before).unwrap();
            let nodes: Vec<u64> = (0..count).map(|n| total / count + u64::from(n < total % count)).collect();
            world.after(1, &settled(&nodes));
            still = if world.current == before { still + 1 } else { 0 };
        }
        prop_assert!(still > 300, "it never rests");
        // Within the tolerance of what the connections take.
        let each = i64::try_from(total).unwrap() / i64::from(world.current);
        prop_assert!(each <= 110);
    }
}
