//! The table of conditions: what is told of a stream in each situation that its children can show.

mod broker;
mod probes;
mod ways;

use std::marker::PhantomData;

use k8s_openapi::api::{
    apps::v1::{DeploymentCondition, DeploymentStatus, StatefulSetStatus},
    networking::v1::{IngressLoadBalancerIngress, IngressLoadBalancerStatus, IngressStatus},
};

use ssefleet_crds::{autoscaling::AutoscalingStatus, broker::SecretKey};

use super::*;
use crate::{
    autoscale::scalers::Scale,
    controller::{children::build, fixtures, resolve::Missing},
};

/// A stream as the server might show it; the cases change it.
struct World {
    wanted: Wanted,
    observed: Observed,
    children: Children<Applied>,
    seen: Seen,
    before: SseStreamStatus,
    now: Timestamp,
}

/// Two nodes with a managed Redis behind an Ingress, all of it well.
fn well() -> World {
    let ingress = "exposure: {ingress: {controller: Traefik, host: events.example.com, tls: {secretName: s}}}";
    let mut world = world(fixtures::wanted(fixtures::yaml(ingress)));
    world.nodes(2, 2, "NewReplicaSetAvailable");
    let redis = world.children.redis.as_mut().unwrap();
    redis.stateful_set.status = Some(StatefulSetStatus { ready_replicas: Some(1), ..Default::default() });
    let address = IngressLoadBalancerIngress { ip: Some("192.0.2.1".into()), ..Default::default() };
    let load_balancer = Some(IngressLoadBalancerStatus { ingress: Some(vec![address]) });
    world.children.exposure.ingress.as_mut().unwrap().status = Some(IngressStatus { load_balancer });
    world
}

/// As if the server had answered, without a status of anything.
pub(super) fn applied(wanted: &Wanted) -> Children<Applied> {
    let built = build(wanted);
    Children {
        service_account: built.service_account,
        config: built.config,
        publish_token: built.publish_token,
        admin_token: built.admin_token,
        redis: built.redis,
        service: built.service,
        publish_service: built.publish_service,
        deployment: built.deployment,
        disruption_budget: built.disruption_budget,
        horizontal_pod_autoscaler: built.horizontal_pod_autoscaler,
        scaled_object: built.scaled_object,
        network_policy: None,
        exposure: built.exposure,
        state: PhantomData,
    }
}

fn world(wanted: Wanted) -> World {
    let children = applied(&wanted);
    World {
        wanted,
        observed: Observed::default(),
        children,
        seen: Seen::default(),
        before: SseStreamStatus::default(),
        now: Timestamp::default(),
    }
}

impl World {
    fn nodes(&mut self, updated: i32, ready: i32, progress: &str) {
        self.children.deployment.status = Some(DeploymentStatus {
            replicas: Some(self.wanted.stream.replicas),
            updated_replicas: Some(updated),
            ready_replicas: Some(ready),
            conditions: Some(vec![DeploymentCondition {
                type_: "Progressing".into(),
                reason: Some(progress.into()),
                message: Some("Exceeded its deadline.".into()),
                ..Default::default()
            }]),
            ..Default::default()
        });
    }

    fn status(&self) -> SseStreamStatus {
        let stream = fixtures::stream(fixtures::yaml("{}"));
        status(&stream, &self.before, &self.observed, &self.wanted, &self.children, &self.seen, self.now)
    }

    /// Type, status and reason of each condition, in the order in which they are written.
    fn told(&self) -> Vec<String> {
        let word = |c: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
            assert!(!c.message.is_empty() && c.observed_generation == Some(1), "{c:?}");
            format!("{}={} {}", c.type_, c.status, c.reason)
        };
        self.status().conditions.iter().map(word).collect()
    }

    fn message(&self, type_: &str) -> String {
        get(&self.status().conditions, type_).unwrap().message.clone()
    }
}

#[test]
fn all_is_well() {
    let world = well();
    assert_eq!(
        world.told(),
        [
            "Ready=True AllReady",
            "Progressing=False Complete",
            "Degraded=False AsExpected",
            "BrokerReady=True RedisReady",
            "Exposed=True IngressReady",
            "StreamVerified=Unknown Pending"
        ]
    );
    let status = world.status();
    assert_eq!(status.url.as_deref(), Some("https://events.example.com/events"));
    assert_eq!(status.publish_url.as_deref(), Some("http://quotes-publish.market.svc/publish"));
    assert_eq!((status.replicas, status.ready_replicas, status.observed_generation), (2, 2, Some(1)));
    assert!(world.message(EXPOSED).contains("writeTimeout"));
}

#[test]
fn a_steady_status_is_the_same_again() {
    let mut world = well();
    world.before = world.status();
    assert_eq!(world.status(), world.before);
}

#[test]
fn a_rollout_is_progress_and_not_degraded() {
    let mut world = well();
    world.nodes(1, 2, "ReplicaSetUpdated");
    assert_eq!(
        world.told()[..3],
        ["Ready=False NodesNotReady", "Progressing=True RollingOut", "Degraded=False AsExpected"]
    );
}

#[test]
fn a_node_lost_after_the_rollout_is_degraded() {
    let mut world = well();
    world.before = world.status();
    world.nodes(2, 1, "NewReplicaSetAvailable");
    assert_eq!(
        world.told()[..3],
        ["Ready=False NodesNotReady", "Progressing=False Complete", "Degraded=True NodesUnavailable"]
    );
}

#[test]
fn a_node_not_yet_ready_after_scaling_out_is_progress() {
    let mut world = well();
    world.before = world.status();
    for condition in &mut world.before.conditions {
        condition.observed_generation = Some(0);
    }
    world.nodes(2, 1, "NewReplicaSetAvailable");
    assert_eq!(world.told()[1..3], ["Progressing=True WaitingForNodes", "Degraded=False AsExpected"]);
}

#[test]
fn a_new_spec_is_progress_until_every_node_runs_it_and_ready_speaks_of_the_one_before() {
    let mut world = well();
    world.before = world.status();
    for condition in &mut world.before.conditions {
        condition.observed_generation = Some(0);
    }
    world.seen.progress = Progress { nodes: 2, behind: vec!["quotes-a".into()], ..Progress::default() };
    let status = world.status();
    let told = |type_| get(&status.conditions, type_).unwrap();
    assert_eq!((told(READY).status.as_str(), told(READY).observed_generation), ("True", Some(0)));
    assert_eq!((told(PROGRESSING).reason.as_str(), told(PROGRESSING).observed_generation), ("Reconfiguring", Some(1)));
    assert_eq!(told(PROGRESSING).message, "1 of 2 nodes run the current spec; quotes-a not yet");
    assert_eq!((told(DEGRADED).reason.as_str(), status.observed_generation), ("AsExpected", Some(1)));
    world.seen.progress = Progress { nodes: 2, ..Progress::default() };
    assert_eq!(world.told()[..2], ["Ready=True AllReady", "Progressing=False Complete"]);
}

#[test]
fn a_node_that_does_not_answer_blocks_nothing_and_is_told_of() {
    let mut world = well();
    world.seen.progress =
        Progress { nodes: 2, silent: vec!["quotes-a".into(), "quotes-b".into()], ..Progress::default() };
    assert_eq!(world.told()[..2], ["Ready=True AllReady", "Progressing=False Complete"]);
    let message = world.message(PROGRESSING);
    assert!(message.contains("quotes-a and 1 more does not tell the operator on port 9090"), "{message}");
}

#[test]
fn a_spec_that_a_node_refuses_degrades() {
    let mut world = well();
    let refused = vec![("quotes-a".to_owned(), "spec.new: unknown field".to_owned())];
    world.seen.progress = Progress { nodes: 2, refused, ..Progress::default() };
    assert_eq!(world.told()[1..3], ["Progressing=False Stuck", "Degraded=True SpecRefused"]);
    assert!(world.message(DEGRADED).contains("quotes-a can't use the current spec"), "{}", world.message(DEGRADED));
}

#[test]
fn a_stream_that_is_paused_says_so_until_it_is_looked_after_again() {
    let mut world = well();
    let mut stream = fixtures::stream(fixtures::yaml("{}"));
    stream.metadata.generation = Some(2);
    let paused = paused_status(&stream, &world.status(), Timestamp::default());
    let condition = get(&paused.conditions, PAUSED).unwrap();
    assert_eq!((condition.status.as_str(), condition.observed_generation), ("True", Some(2)));
    assert!(condition.message.contains("kubectl annotate sse quotes ssefleet.dev/paused-"), "{}", condition.message);
    assert_eq!(paused.observed_generation, Some(1), "the new spec has not been looked at");
    assert_eq!(paused_status(&stream, &paused, Timestamp::default()), paused);
    world.before = paused;
    assert!(get(&world.status().conditions, PAUSED).is_none());
}

#[test]
fn a_stuck_rollout_says_where_to_look() {
    let mut world = well();
    world.nodes(1, 2, "ProgressDeadlineExceeded");
    assert_eq!(
        world.told()[..3],
        ["Ready=False NodesNotReady", "Progressing=False Stuck", "Degraded=True RolloutStuck"]
    );
    assert!(world.message(DEGRADED).contains("kubectl describe deployment quotes"));
}

#[test]
fn a_redis_lost_after_the_rollout_is_degraded() {
    let mut world = well();
    world.before = world.status();
    world.children.redis.as_mut().unwrap().stateful_set.status = None;
    assert_eq!(
        world.told()[..4],
        [
            "Ready=False BrokerNotReady",
            "Progressing=False Complete",
            "Degraded=True RedisNotReady",
            "BrokerReady=False RedisNotReady"
        ]
    );
    assert!(world.message(BROKER_READY).contains("describe pod quotes-redis-0"));
}

#[test]
fn an_ingress_without_an_address_is_not_ready() {
    let mut world = well();
    world.children.exposure.ingress.as_mut().unwrap().status = None;
    let told = world.told();
    assert_eq!((told[0].as_str(), told[4].as_str()), ("Ready=False NotExposed", "Exposed=False NoAddress"));
    assert_eq!(world.status().url.as_deref(), Some("http://quotes.market.svc/events"));
}

fn missing(field: &str, name: &str, key: &str) -> Missing {
    let secret = SecretKey { name: name.into(), key: key.into() };
    Missing { field: field.into(), secret, only_key: false }
}

#[test]
fn a_missing_secret_of_the_broker_says_how_to_make_it() {
    let mut world = world(fixtures::external());
    world.observed.missing.push(missing("broker.redis.external.passwordSecretRef", "redis-auth", "password"));
    assert_eq!(world.told()[2..4], ["Degraded=True SecretMissing", "BrokerReady=False SecretMissing"]);
    assert_eq!(
        world.message(BROKER_READY),
        "spec.broker.redis.external.passwordSecretRef: there is no Secret redis-auth; create it with kubectl -n market create secret generic redis-auth --from-literal=password=…"
    );
    world.observed.missing[0].only_key = true;
    assert!(world.message(BROKER_READY).contains(r#"-p '{"stringData":{"password":"…"}}'"#));
}

#[test]
fn a_missing_secret_of_the_edge_is_told_and_is_not_the_brokers_fault() {
    let mut world = well();
    world.observed.missing.push(missing("auth.jwt.keys[0].publicKeyRef", "jwt-keys", "login.pem"));
    assert_eq!(
        world.told()[..4],
        [
            "Ready=False SecretMissing",
            "Progressing=False Complete",
            "Degraded=True SecretMissing",
            "BrokerReady=True RedisReady"
        ]
    );
    let says = "spec.auth.jwt.keys[0].publicKeyRef: there is no Secret jwt-keys; create it with kubectl -n market create secret generic jwt-keys --from-file=login.pem=FILE";
    assert_eq!((world.message(READY).as_str(), world.message(DEGRADED).as_str()), (says, says));
    world.observed.missing[0].only_key = true;
    assert_eq!(
        world.message(READY),
        r#"spec.auth.jwt.keys[0].publicKeyRef: Secret jwt-keys has no key login.pem; add it with kubectl -n market patch secret jwt-keys -p '{"stringData":{"login.pem":"…"}}'"#
    );
}

#[test]
fn an_external_redis_is_fine_without_a_secret_of_the_edge() {
    let mut world = world(fixtures::external());
    world.nodes(3, 3, "NewReplicaSetAvailable");
    world.observed.missing.push(missing("auth.publish.tokenSecretRef", "tokens", "token"));
    assert_eq!((&*world.told()[0], &*world.told()[3]), ("Ready=False SecretMissing", "BrokerReady=True RedisReached"));
}

#[test]
fn an_external_redis_is_ready_once_a_node_has_reached_it() {
    let mut world = world(fixtures::external());
    world.nodes(3, 0, "ReplicaSetUpdated");
    assert!(world.told()[3].contains("RedisNotReached"));
    assert!(world.message(BROKER_READY).contains("rediss://redis.example.com:6380/1"));
    world.nodes(3, 1, "ReplicaSetUpdated");
    assert_eq!(
        world.told()[3..],
        ["BrokerReady=True RedisReached", "Exposed=False NotRequested", "StreamVerified=Unknown NotRequested"]
    );
}

#[test]
fn autoscaling_is_told_as_long_as_it_is_asked_for() {
    let mut world = well();
    assert!(!world.told().iter().any(|told| told.starts_with("Autoscaling")));
    let status = AutoscalingStatus { desired_replicas: 2, fleet_replicas: 1, last_scale_time: None };
    let verdict = Verdict::no("NumbersMissing", "No node is taken away");
    world.observed.scale = Some(Scale { status: status.clone(), verdict });
    world.wanted = fixtures::wanted(fixtures::yaml("autoscaling: {}"));
    let now = world.status();
    assert!(get(&now.conditions, "Autoscaling").is_some_and(|told| told.reason == "NumbersMissing"));
    assert_eq!(now.autoscaling, Some(status));
    world.before = now;
    (world.wanted, world.observed.scale) = (fixtures::managed(), None);
    let now = world.status();
    assert!(get(&now.conditions, "Autoscaling").is_none() && now.autoscaling.is_none());
}

#[test]
fn a_refusal_leaves_what_is_known_of_the_fleet() {
    let stream = fixtures::stream(fixtures::yaml("{}"));
    let before = well().status();
    let blocked = Blocked { reason: "NameTaken", message: "Service quotes is there already".into(), broker: false };
    let now = blocked_status(&stream, &before, &blocked, Timestamp::default());
    let word = |type_| get(&now.conditions, type_).map(|c| (c.status.as_str(), c.reason.as_str()));
    assert_eq!(word(READY), Some(("False", "NameTaken")));
    assert_eq!(word(DEGRADED), Some(("True", "NameTaken")));
    assert_eq!(word(BROKER_READY), Some(("True", "RedisReady")));
    assert_eq!((now.ready_replicas, now.url), (before.ready_replicas, before.url));
}
