//! Who may reach Redis: this stream's nodes, and where there are replicas, these each other. It itself reaches nobody
//! else. Policies add up: who wants to let another workload in, say one that PUBLISHes broadcasts, adds one for that.
//! <https://kubernetes.io/docs/concepts/services-networking/network-policies/>

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use ssefleet_crds::names::{self, Component};

use super::{
    super::{metadata, selector},
    PORT, SENTINEL_PORT,
};
use crate::controller::{Wanted, validate::Redis};

/// `None` where the operator is told to make none.
pub fn network_policy(wanted: &Wanted, redis: &Redis) -> Option<NetworkPolicy> {
    wanted.settings.network_policies.then(|| policy(wanted, redis))
}

fn policy(wanted: &Wanted, redis: &Redis) -> NetworkPolicy {
    let of = |component| NetworkPolicyPeer { pod_selector: Some(selector(wanted, component)), ..Default::default() };
    let (mut clients, mut ports, mut egress) = (vec![of(Component::Node)], vec![port("TCP", PORT)], Vec::new());
    if redis.spec.replicated.is_some() {
        clients.push(of(Component::Redis));
        ports.push(port("TCP", SENTINEL_PORT));
        egress.push(NetworkPolicyEgressRule { to: Some(vec![of(Component::Redis)]), ports: Some(ports.clone()) });
        // They know each other by name. Where the names' server is, nobody can know here.
        egress.push(NetworkPolicyEgressRule { to: None, ports: Some(vec![port("UDP", 53), port("TCP", 53)]) });
    }
    NetworkPolicy {
        metadata: metadata(wanted, names::redis(&wanted.stream.name), Component::Redis),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(wanted, Component::Redis)),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: Some(vec![NetworkPolicyIngressRule { from: Some(clients), ports: Some(ports) }]),
            egress: (!egress.is_empty()).then_some(egress),
        }),
    }
}

fn port(protocol: &str, port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some(protocol.into()), port: Some(IntOrString::Int(port)), end_port: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    fn built(wanted: &Wanted) -> String {
        golden(&policy(wanted, wanted.redis.as_ref().unwrap()))
    }

    #[test]
    fn only_the_nodes_reach_a_single_redis() {
        insta::assert_snapshot!(built(&fixtures::managed()));
    }

    #[test]
    fn replicas_reach_each_other() {
        insta::assert_snapshot!(built(&fixtures::replicated()));
    }
}
