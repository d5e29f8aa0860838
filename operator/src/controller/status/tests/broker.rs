//! BrokerReady, by what the nodes say of it.

use k8s_openapi::api::apps::v1::StatefulSetStatus;

use super::*;
use crate::nodes::Failing;
use ssefleet_crds::part::Part;

fn failing(pod: &str, part: Part) -> Failing {
    Failing { part, pod: pod.into(), message: format!("redis.example.com:6380: {part:?} fails.") }
}

#[test]
fn the_part_of_the_broker_that_fails_is_told_with_the_field_to_change() {
    let external = [
        (Part::Secret, "SecretUnreadable", "spec.broker.redis.external"),
        (Part::Dns, "DnsFailed", "host in spec.broker.redis.external.url"),
        (Part::Tcp, "ConnectionFailed", "host and port in spec.broker.redis.external.url"),
        (Part::Tls, "TlsFailed", "external.tls.caSecretRef"),
        (Part::Auth, "AuthFailed", "usernameSecretRef and passwordSecretRef"),
        (Part::Sentinel, "SentinelFailed", "external.sentinel.masterName"),
        (Part::Cluster, "ClusterFailed", "external.topology"),
        (Part::Loading, "Loading", "passes by itself"),
        (Part::ReadOnly, "ReadOnly", "external.topology to Sentinel"),
        (Part::Replication, "TooFewReplicas", "spec.broker.redis.confirm.replicas"),
        (Part::Memory, "OutOfMemory", "maxmemory, or lower spec.history"),
        (Part::Disk, "DiskFailed", "room on its disk"),
        (Part::Other, "RedisFailed", "spec.broker.redis.external"),
    ];
    let mut world = world(fixtures::external());
    world.nodes(3, 3, "NewReplicaSetAvailable");
    for (part, reason, field) in external {
        world.seen.progress.failing = vec![failing("quotes-a", part)];
        assert_eq!(world.told()[3], format!("BrokerReady=False {reason}"));
        let message = world.message(BROKER_READY);
        assert!(message.starts_with("redis.example.com:6380: ") && message.contains(field), "{message}");
    }
    let mut managed = well();
    for (part, reason, field) in [
        (Part::Memory, "OutOfMemory", "spec.broker.redis.managed.resources.limits.memory"),
        (Part::Auth, "AuthFailed", "Secret quotes-redis"),
        (Part::Replication, "TooFewReplicas", "spec.broker.redis.confirm.replicas"),
        (Part::Disk, "DiskFailed", "spec.broker.redis.managed.storage.size"),
        (Part::Tcp, "ConnectionFailed", "describe pod quotes-redis-0"),
    ] {
        managed.seen.progress.failing = vec![failing("quotes-a", part)];
        assert_eq!(managed.told()[3], format!("BrokerReady=False {reason}"));
        assert!(managed.message(BROKER_READY).contains(field), "{}", managed.message(BROKER_READY));
        assert_eq!(managed.told()[0], "Ready=False BrokerNotReady");
    }
}

#[test]
fn of_several_failures_the_earliest_part_is_told_and_how_many_nodes_see_one() {
    let mut world = world(fixtures::external());
    world.nodes(3, 3, "NewReplicaSetAvailable");
    world.seen.progress.heard = 3;
    world.seen.progress.failing = vec![failing("quotes-a", Part::Memory), failing("quotes-b", Part::Dns)];
    assert_eq!(world.told()[3], "BrokerReady=False DnsFailed");
    assert!(world.message(BROKER_READY).contains("(2 of 3 nodes)"));
}

#[test]
fn a_managed_redis_that_keeps_nothing_or_lacks_pods_says_so() {
    let told = |managed: &str, ready: i32| {
        let mut world = world(fixtures::wanted(fixtures::yaml(&format!("broker: {{redis: {{managed: {managed}}}}}"))));
        let redis = world.children.redis.as_mut().unwrap();
        redis.stateful_set.status = Some(StatefulSetStatus { ready_replicas: Some(ready), ..Default::default() });
        world.message(BROKER_READY)
    };
    assert_eq!(told("{}", 1), "The managed Redis answers");
    assert!(told("{persistence: None}", 1).contains("a restart of its pod loses all events"));
    assert_eq!(told("{topology: Replicated}", 2), "The managed Redis answers; 2 of its 3 pods are ready");
    assert!(
        told("{topology: Replicated, persistence: None}", 3).contains("if all restart at once, all events are lost")
    );
}
