//! How many nodes there should be: a pure function of what the nodes tell, of what was asked for before, and of the
//! time. It follows the algorithm of the HorizontalPodAutoscaler where that suits connections that last,
//! <https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details>, and is more careful
//! with taking nodes away: never without every node's numbers, and never while nodes come or go.

use std::{
    cmp::Ordering,
    fmt,
    time::{Duration, Instant},
};

use super::history::{History, Pace};

/// What is near enough to the target is left as it is: the HorizontalPodAutoscaler's default.
const TOLERANCE: f64 = 0.1;

/// What the stream asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    pub min: i32,
    pub max: i32,
    /// Connections a node.
    pub connections: u32,
    /// Cores a node, if CPU counts.
    pub cpu: Option<f64>,
    /// If delivery lag counts.
    pub max_lag: Option<Duration>,
    pub up: Pace,
    pub down: Pace,
}

/// What one node tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Node {
    pub connections: u64,
    /// Cores in use since it was last looked at.
    pub cpu: Option<f64>,
    /// The mean time from the log to its subscribers since it was last looked at.
    pub lag: Option<Duration>,
}

/// What is known of a fleet at one moment. Nodes that drain are no part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    pub nodes: Vec<Node>,
    /// Nodes that serve and whose numbers are not known.
    pub missing: usize,
    /// As many nodes are ready as are wanted, all of the newest template, and none is on its way out.
    pub settled: bool,
}

/// What is to be, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    pub desired: i32,
    pub why: Why,
}

/// Why so many are desired.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Why {
    /// So many suit the load.
    Load(Load),
    /// Fewer would do, but have not for as long as they must.
    Stabilizing,
    /// The pace does not allow all of it at once.
    Pacing(Load),
    /// Fewer would do, but the numbers of so many nodes are missing.
    Missing(usize),
    /// Fewer would do, but nodes come or go.
    Unsettled,
    /// No node tells anything.
    Blind,
    /// The load asks for more than there may be.
    AtMost,
    /// There were fewer, or more, than there may be.
    Bounds,
}

/// What asks for the most nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    Connections { total: u64, target: u32 },
    Cpu { cores: f64, target: f64 },
    Lag { worst: Duration, most: Duration },
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections { total, target } => write!(f, "{total} connections, target {target} a node"),
            Self::Cpu { cores, target } => write!(f, "{cores:.2} cores in use, target {target:.2} a node"),
            Self::Lag { worst, most } => {
                write!(f, "events take {} ms to subscribers, at most {} ms", worst.as_millis(), most.as_millis())
            }
        }
    }
}

/// How many nodes there should be, when there are to be `current`. The history is what is remembered from one time to
/// the next.
pub fn decide(rules: &Rules, current: i32, reading: &Reading, history: &mut History, now: Instant) -> Decision {
    let bounded = current.clamp(rules.min, rules.max);
    if bounded != current {
        // Someone has changed the bounds: that is an order, and waits for nothing.
        history.scaled(now, bounded - current);
        return Decision { desired: bounded, why: Why::Bounds };
    }
    let Some((load, needed)) = needed(rules, current, reading) else {
        return Decision { desired: current, why: Why::Blind };
    };
    let asked = needed.clamp(rules.min, rules.max);
    history.asked(now, asked, rules.up.window.max(rules.down.window));
    let (desired, why) = match asked.cmp(&current) {
        Ordering::Greater => {
            let stable = history.least(now, rules.up.window).clamp(current, rules.max);
            let allowed = stable.min(history.ceiling(now, current, rules.up)).max(current);
            let why = if stable == current { Why::Stabilizing } else { by(load, allowed == stable) };
            (allowed, why)
        }
        Ordering::Equal if needed > rules.max => (current, Why::AtMost),
        Ordering::Equal => (current, Why::Load(load)),
        Ordering::Less if reading.missing > 0 => (current, Why::Missing(reading.missing)),
        Ordering::Less if !reading.settled => (current, Why::Unsettled),
        Ordering::Less => {
            let stable = history.most(now, rules.down.window).clamp(rules.min, current);
            let allowed = stable.max(history.floor(now, current, rules.down)).min(current);
            let why = if stable == current { Why::Stabilizing } else { by(load, allowed == stable) };
            (allowed, why)
        }
    };
    history.scaled(now, desired - current);
    Decision { desired, why }
}

fn by(load: Load, all_at_once: bool) -> Why {
    if all_at_once { Why::Load(load) } else { Why::Pacing(load) }
}

/// Whether the load asks for fewer nodes than there are to be, so that some are about to go.
pub fn fewer_would_do(rules: &Rules, current: i32, reading: &Reading) -> bool {
    needed(rules, current, reading).is_none_or(|(_, needed)| needed < current)
}

/// How many nodes the load asks for, whatever the bounds, and which part of it asks for the most. None if nothing is
/// known. What is known of some nodes only is too little, never too much: enough to add nodes, not to take them away.
fn needed(rules: &Rules, current: i32, reading: &Reading) -> Option<(Load, i32)> {
    if reading.nodes.is_empty() {
        return None;
    }
    let total = reading.nodes.iter().map(|node| node.connections).sum();
    let load = Load::Connections { total, target: rules.connections };
    #[expect(clippy::cast_precision_loss, reason = "of connections there are fewer than 2^52")]
    let mut most = (load, for_target(total as f64, rules.connections.into(), current));
    if let Some(target) = rules.cpu {
        let cores = reading.nodes.iter().filter_map(|node| node.cpu).sum();
        let needed = for_target(cores, target, current);
        if needed > most.1 {
            most = (Load::Cpu { cores, target }, needed);
        }
    }
    let worst = reading.nodes.iter().filter_map(|node| node.lag).max();
    if let (Some(limit), Some(worst)) = (rules.max_lag, worst)
        && worst > limit
    {
        // How much more nodes help is not known: one more is tried, and when it serves it is looked again.
        let needed = current + i32::from(reading.settled);
        if needed > most.1 {
            most = (Load::Lag { worst, most: limit }, needed);
        }
    }
    Some(most)
}

fn for_target(total: f64, target: f64, current: i32) -> i32 {
    let has = f64::from(current) * target;
    if current > 0 && (total - has).abs() <= TOLERANCE * has {
        return current;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    let needed = (total / target).ceil() as i32;
    needed
}
