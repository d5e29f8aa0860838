//! The two Services: subscribers' and publishers'. They are two so that an Ingress or a `LoadBalancer` for the one can
//! never open the other.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use ssefleet_crds::names::{self, Component};

use super::metadata;
use crate::controller::Wanted;

/// The port's name in both Services.
pub(super) const PORT: &str = "http";
/// And its number, so that `http://quotes-publish.<namespace>/publish` is the whole address.
pub(super) const NUMBER: i32 = 80;

pub fn public(wanted: &Wanted) -> Service {
    service(wanted, names::node(&wanted.stream.name), "public")
}

pub fn publish(wanted: &Wanted) -> Service {
    service(wanted, names::publish(&wanted.stream.name), "publish")
}

fn service(wanted: &Wanted, name: String, target: &str) -> Service {
    Service {
        metadata: metadata(wanted, name, Component::Node),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(names::selector(&wanted.stream.name, Component::Node)),
            ports: Some(vec![ServicePort {
                name: Some(PORT.into()),
                port: NUMBER,
                protocol: Some("TCP".into()),
                app_protocol: Some("http".into()),
                target_port: Some(IntOrString::String(target.into())),
                ..Default::default()
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

    #[test]
    fn for_subscribers() {
        insta::assert_snapshot!(golden(&public(&fixtures::managed())));
    }

    #[test]
    fn for_publishers() {
        insta::assert_snapshot!(golden(&publish(&fixtures::managed())));
    }
}
