//! Services for the world: straight to the nodes, and in front of the edge.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use ssefleet_crds::{
    exposure::{self, ServiceType},
    names::{self, Component},
};

use super::super::{metadata, service::PORT};
use crate::controller::Wanted;

pub fn service(wanted: &Wanted, exposure: &exposure::Service) -> Service {
    let port = exposure.port.unwrap_or(super::super::service::NUMBER);
    open(
        wanted,
        exposure,
        &Opens { name: names::public(&wanted.stream.name), to: Component::Node, port, target: "public" },
    )
}

/// What a Service opens.
pub(super) struct Opens {
    pub name: String,
    pub to: Component,
    pub port: i32,
    /// The name of the container's port.
    pub target: &'static str,
}

/// Without session affinity: a subscriber that comes back is served by any node.
pub(super) fn open(wanted: &Wanted, exposure: &exposure::Service, opens: &Opens) -> Service {
    let mut metadata = metadata(wanted, opens.name.clone(), opens.to);
    metadata.annotations = (!exposure.annotations.is_empty()).then(|| exposure.annotations.clone());
    let outside = exposure.type_ != ServiceType::ClusterIP;
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(exposure.type_.as_str().into()),
            selector: Some(names::selector(&wanted.stream.name, opens.to)),
            session_affinity: Some("None".into()),
            // Named, so that a change back to the default is one.
            external_traffic_policy: outside
                .then(|| exposure.external_traffic_policy.map_or("Cluster", exposure::TrafficPolicy::as_str).into()),
            load_balancer_class: exposure.load_balancer_class.clone(),
            ports: Some(vec![ServicePort {
                name: Some(PORT.into()),
                port: opens.port,
                protocol: Some("TCP".into()),
                app_protocol: Some(if opens.target == "https" { "https" } else { "http" }.into()),
                target_port: Some(IntOrString::String(opens.target.into())),
                node_port: exposure.node_port,
            }]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    fn built(spec: &str) -> String {
        let wanted = fixtures::wanted(fixtures::yaml(&format!("exposure: {{service: {spec}}}")));
        golden(&service(&wanted, wanted.stream.exposure.service.as_ref().unwrap()))
    }

    #[test]
    fn a_load_balancer() {
        insta::assert_snapshot!(built(
            "{annotations: {example.com/scheme: internal}, externalTrafficPolicy: Local, loadBalancerClass: example.com/fast}"
        ));
    }

    #[test]
    fn a_port_of_every_host() {
        insta::assert_snapshot!(built("{type: NodePort, port: 8080, nodePort: 30080}"));
    }

    #[test]
    fn an_address_inside() {
        insta::assert_snapshot!(built("{type: ClusterIP}"));
    }
}
