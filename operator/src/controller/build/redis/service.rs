//! The Service that the nodes reach Redis by. It has an address of its own: while the pod restarts, a node is refused
//! at once, where a headless name would vanish from DNS and be cached as gone.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use ssefleet_crds::names::{self, Component};

use super::{super::metadata, PORT};
use crate::controller::Wanted;

pub fn service(wanted: &Wanted) -> Service {
    Service {
        metadata: metadata(wanted, names::redis(&wanted.stream.name), Component::Redis),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(names::selector(&wanted.stream.name, Component::Redis)),
            ports: Some(vec![ServicePort {
                name: Some("redis".into()),
                port: PORT,
                protocol: Some("TCP".into()),
                app_protocol: Some("redis".into()),
                target_port: Some(IntOrString::String("redis".into())),
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
    use crate::controller::{build::golden, fixtures};

    #[test]
    fn for_the_nodes() {
        insta::assert_snapshot!(golden(&service(&fixtures::managed())));
    }
}
