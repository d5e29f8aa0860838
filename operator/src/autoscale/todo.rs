//! What one look at a fleet finds to do. Nothing is done here.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use k8s_openapi::api::apps::v1::Deployment;
use ssefleet_crds::{
    Stream,
    autoscaling::{Autoscaling, AutoscalingMode},
};

use super::{
    decide::{Decision, Rules, fewer_would_do},
    history::Pace,
    reading::{reading, serves, told},
    scaler::Scaler,
    shed::{Excess, excess, lasts},
};
use crate::nodes::Report;

/// How long what nodes tell takes to be known: they are asked every ten seconds.
const NEWS: Duration = Duration::from_secs(10);

/// What there is to do.
#[derive(Default)]
pub struct Todo {
    /// From how many nodes, and to what.
    pub scaled: Option<(i32, Decision)>,
    /// The stream's status is to say something else.
    pub tell: bool,
    /// Pods that stay are marked as if they went.
    pub unmark: bool,
    pub shed: Vec<Excess<IpAddr>>,
}

pub fn todo(
    scaler: &mut Scaler,
    scaling: &Autoscaling,
    checked: &Stream,
    reports: &[Report],
    deployment: &Deployment,
    now: Instant,
) -> Todo {
    let mut todo = Todo::default();
    scaler.take(reports, now);
    let by_operator = scaling.mode == AutoscalingMode::Operator;
    let rules = rules(scaling, checked);
    let wanted = if by_operator { scaler.desired } else { checked.replicas };
    let reading = reading(reports, settled(deployment, reports, wanted), now, |report| scaler.rates(report));
    if by_operator && !scaler.is_suspended() {
        let (tell, decision) = scaler.look(&rules, &reading, now);
        todo.scaled = (decision.desired != wanted).then_some((wanted, decision));
        todo.tell = tell;
    }
    let rests = todo.scaled.is_none() && reading.settled;
    todo.unmark = rests && reports.iter().any(|report| report.marked);
    // Where nodes are about to go, none is moved to them.
    let is_needed = rests && reading.missing == 0 && !fewer_would_do(&rules, wanted, &reading);
    if scaler.balance.is_due(wanted, is_needed, now) && scaling.shed.enabled {
        let nodes = reports.iter().filter(|report| serves(report));
        let nodes: Vec<_> =
            nodes.filter_map(|report| Some((report.ip?, told(report, now)?.active_connections))).collect();
        todo.shed = excess(&nodes, scaling.shed.over_mean_percent);
        if todo.shed.is_empty() {
            scaler.balance.done();
        } else {
            let lasts = lasts(&todo.shed, checked.drain.reconnects_per_second, checked.connections.retry);
            scaler.balance.begun(now, lasts + NEWS);
        }
    }
    todo
}

/// Whether as many nodes serve as are wanted, all of the newest template, and none is on its way out: the connections
/// that such a one still has come back to the others, which are fuller than they look.
fn settled(deployment: &Deployment, reports: &[Report], wanted: i32) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    let is_wanted = |count: Option<i32>| count.unwrap_or(0) == wanted;
    let serving = reports.iter().filter(|report| report.serves()).count();
    status.observed_generation >= deployment.metadata.generation
        && is_wanted(deployment.spec.as_ref().and_then(|spec| spec.replicas))
        && [status.replicas, status.updated_replicas, status.ready_replicas].into_iter().all(is_wanted)
        && i32::try_from(serving) == Ok(wanted)
        && !reports.iter().any(|report| report.leaving)
}

fn rules(scaling: &Autoscaling, checked: &Stream) -> Rules {
    let (up, down) = (scaling.scale_up, scaling.scale_down);
    let requested = checked.pod.requested_cpu();
    Rules {
        min: scaling.min_replicas,
        max: scaling.max_replicas.max(scaling.min_replicas),
        connections: scaling.target_connections(checked.connections.max_per_pod),
        cpu: scaling.target_cpu_percent.map(|percent| requested * f64::from(percent) / 100.0),
        max_lag: scaling.max_lag.map(Into::into),
        up: Pace {
            window: up.stabilization_window.into(),
            pods: up.pods,
            percent: up.percent,
            period: up.period.into(),
        },
        down: Pace {
            window: down.stabilization_window.into(),
            pods: down.pods,
            percent: down.percent,
            period: down.period.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{
        apps::v1::{DeploymentSpec, DeploymentStatus},
        core::v1::Pod,
    };

    use super::*;
    use crate::{
        autoscale::decide::Why,
        controller::fixtures,
        nodes::{Error, Stats},
    };

    const SPEC: &str = "
fleet: {replicas: 1, drain: {reconnectsPerSecond: 50}}
connections: {retry: 2s}
autoscaling: {minReplicas: 1, targetConnectionsPerPod: 100, MODE}";

    struct World {
        checked: Stream,
        scaling: Autoscaling,
        scaler: Scaler,
        begun: Instant,
        reports: Vec<Report>,
        deployment: Deployment,
    }

    impl World {
        fn new(spec: &str, connections: &[u64]) -> Self {
            let stream = fixtures::stream(fixtures::yaml(spec));
            let (checked, begun) = (Stream::try_from(&stream).unwrap(), Instant::now());
            let scaling = stream.spec.autoscaling.clone().unwrap();
            let scaler = Scaler::new(&stream, &scaling, begun);
            let mut world =
                Self { checked, scaling, scaler, begun, reports: Vec::new(), deployment: Deployment::default() };
            world.nodes(connections);
            world
        }

        /// So many nodes there are now, all well.
        fn nodes(&mut self, connections: &[u64]) {
            let report = |(n, connections): (usize, &u64)| {
                let mut report = Report::of(&Pod::default(), self.begun);
                (report.pod, report.ready) = (format!("quotes-{n}"), true);
                report.ip = format!("192.0.2.{n}").parse().ok();
                report.stats = Some(Ok(Stats { active_connections: *connections, ..Stats::default() }));
                report
            };
            self.reports = connections.iter().enumerate().map(report).collect();
            let count = i32::try_from(connections.len()).ok();
            self.deployment.spec = Some(DeploymentSpec { replicas: count, ..Default::default() });
            self.deployment.status = Some(DeploymentStatus {
                replicas: count,
                updated_replicas: count,
                ready_replicas: count,
                ..Default::default()
            });
        }

        fn after(&mut self, seconds: u64) -> Todo {
            let now = self.begun + Duration::from_secs(seconds);
            for report in &mut self.reports {
                report.asked = now;
            }
            todo(&mut self.scaler, &self.scaling, &self.checked, &self.reports, &self.deployment, now)
        }
    }

    #[test]
    fn a_scale_out_is_followed_by_moving_the_excess_when_the_new_nodes_serve() {
        let mut world = World::new(&SPEC.replace("MODE", "mode: Operator"), &[300]);
        let todo = world.after(0);
        assert!(matches!(todo.scaled, Some((1, Decision { desired: 3, .. }))) && todo.tell && todo.shed.is_empty());
        assert!(world.after(10).shed.is_empty(), "the new ones do not serve yet");
        world.nodes(&[300, 0, 0]);
        let shed = world.after(20).shed;
        assert_eq!(shed.iter().map(|node| node.connections).collect::<Vec<_>>(), [200]);
        world.nodes(&[170, 65, 65]);
        assert!(world.after(30).shed.is_empty(), "the first round is under way");
        assert_eq!(world.after(45).shed.len(), 1);
        world.nodes(&[60, 5, 5]);
        assert!(world.after(80).shed.is_empty(), "the load is gone, and two nodes are about to go");
        world.nodes(&[110, 95, 95]);
        assert!(world.after(85).shed.is_empty());
        world.nodes(&[300, 0, 0]);
        assert!(world.after(120).shed.is_empty(), "no node was added since");
    }

    #[test]
    fn connections_move_in_mode_hpa_too_and_not_where_that_is_switched_off() {
        for (mode, moves) in [("mode: Hpa", true), ("mode: Hpa, shed: {enabled: false}", false)] {
            let mut world = World::new(&SPEC.replace("MODE", mode), &[300]);
            assert!(world.after(0).scaled.is_none());
            world.checked.replicas = 2;
            world.nodes(&[300, 0]);
            assert_eq!(!world.after(10).shed.is_empty(), moves, "{mode}");
        }
    }

    #[test]
    fn nothing_is_taken_away_while_one_node_does_not_answer_or_is_on_its_way_out() {
        let spec = SPEC.replace("MODE", "scaleDown: {stabilizationWindow: 0s}").replace("replicas: 1,", "replicas: 3,");
        let mut world = World::new(&spec, &[1, 1, 1]);
        world.reports[1].stats = Some(Err(Error::Late));
        assert!(world.after(500).scaled.is_none());
        assert_eq!(world.scaler.why, Some(Why::Missing(1)));
        world.nodes(&[1, 1, 1]);
        world.reports[1].leaving = true;
        assert!(world.after(510).scaled.is_none());
        assert_eq!(world.scaler.why, Some(Why::Unsettled));
        world.nodes(&[1, 1, 1]);
        assert!(matches!(world.after(520).scaled, Some((3, Decision { desired: 2, .. }))));
    }

    #[test]
    fn a_mark_that_is_left_on_a_pod_is_found() {
        let mut world = World::new(&SPEC.replace("MODE", ""), &[1]);
        assert!(!world.after(0).unmark);
        world.reports[0].marked = true;
        assert!(world.after(10).unmark);
        world.reports[0].ready = false;
        assert!(!world.after(20).unmark);
    }
}
