//! Who may connect to the nodes: subscribers from anywhere; publishers from the stream's own namespace; the admin port
//! from there too, and from the operator and those who scrape metrics. Policies add up, so one of the user's own opens
//! more. It holds where the cluster's network enforces policies; a kubelet's probes pass all of them.
//! <https://kubernetes.io/docs/concepts/services-networking/network-policies/>

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use ssefleet_crds::names::{self, Component};

use super::{metadata, selector};
use crate::controller::Wanted;

/// The label that every namespace has, with its name.
const NAMESPACE: &str = "kubernetes.io/metadata.name";

/// `None` where the operator is told to make none.
pub fn network_policy(wanted: &Wanted) -> Option<NetworkPolicy> {
    wanted.settings.network_policies.then(|| NetworkPolicy {
        metadata: metadata(wanted, names::node(&wanted.stream.name), Component::Node),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(wanted, Component::Node)),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(vec![
                from(None, &["public"]),
                from(Some(vec![same_namespace()]), &["publish", "admin"]),
                from(Some(admins(wanted)), &["admin"]),
            ]),
            egress: None,
        }),
    })
}

/// Without `peers`, anyone.
fn from(peers: Option<Vec<NetworkPolicyPeer>>, ports: &[&str]) -> NetworkPolicyIngressRule {
    let port = |name: &&str| NetworkPolicyPort {
        port: Some(IntOrString::String((*name).into())),
        protocol: Some("TCP".into()),
        ..Default::default()
    };
    NetworkPolicyIngressRule { from: peers, ports: Some(ports.iter().map(port).collect()) }
}

fn same_namespace() -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(LabelSelector::default()), ..Default::default() }
}

fn admins(wanted: &Wanted) -> Vec<NetworkPolicyPeer> {
    let settings = &wanted.settings;
    let operator = NetworkPolicyPeer {
        // One on a laptop does not know where another runs.
        namespace_selector: Some(settings.pod_namespace.as_deref().map_or_else(LabelSelector::default, named)),
        pod_selector: Some(labels("app.kubernetes.io/component", "operator")),
        ..Default::default()
    };
    let scraper = |name: &String| NetworkPolicyPeer { namespace_selector: Some(named(name)), ..Default::default() };
    [operator].into_iter().chain(settings.scrape_namespaces.iter().map(scraper)).collect()
}

fn named(namespace: &str) -> LabelSelector {
    labels(NAMESPACE, namespace)
}

fn labels(label: &str, value: &str) -> LabelSelector {
    LabelSelector { match_labels: Some([(label.to_owned(), value.to_owned())].into()), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    #[test]
    fn subscribers_come_from_anywhere_and_others_from_where_they_belong() {
        let mut wanted = fixtures::managed();
        wanted.settings.pod_namespace = Some("ssefleet-system".into());
        wanted.settings.scrape_namespaces = vec!["monitoring".into()];
        insta::assert_snapshot!(golden(&network_policy(&wanted).unwrap()));
    }

    #[test]
    fn an_operator_that_is_told_to_makes_none() {
        let mut wanted = fixtures::managed();
        wanted.settings.network_policies = false;
        assert_eq!(network_policy(&wanted), None);
    }
}
