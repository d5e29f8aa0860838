//! The Service that the nodes reach Redis by. For a single Redis it has an address of its own: while the pod restarts, a
//! node is refused at once, where a headless name would vanish from DNS and be cached as gone. For replicas it is
//! headless, and gives each pod its name: Sentinels and nodes need to reach a certain one.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use ssefleet_crds::names::{self, Component};

use super::{super::metadata, PORT, SENTINEL_PORT};
use crate::controller::{Wanted, validate::Redis};

pub fn service(wanted: &Wanted, redis: &Redis) -> Service {
    let port = |name: &str, port: i32| ServicePort {
        name: Some(name.into()),
        port,
        protocol: Some("TCP".into()),
        app_protocol: Some("redis".into()),
        target_port: Some(IntOrString::String(name.into())),
        ..Default::default()
    };
    let mut spec = ServiceSpec {
        type_: Some("ClusterIP".into()),
        selector: Some(names::selector(&wanted.stream.name, Component::Redis)),
        ports: Some(vec![port("redis", PORT)]),
        ..Default::default()
    };
    if redis.spec.replicated.is_some() {
        spec.cluster_ip = Some("None".into());
        spec.ports = Some(vec![port("redis", PORT), port("sentinel", SENTINEL_PORT)]);
        // They must find each other before any of them can be ready.
        spec.publish_not_ready_addresses = Some(true);
    }
    Service {
        metadata: metadata(wanted, names::redis(&wanted.stream.name), Component::Redis),
        spec: Some(spec),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    fn built(wanted: &Wanted) -> String {
        golden(&service(wanted, wanted.redis.as_ref().unwrap()))
    }

    #[test]
    fn for_the_nodes() {
        insta::assert_snapshot!(built(&fixtures::managed()));
    }

    #[test]
    fn replicas_have_names() {
        insta::assert_snapshot!(built(&fixtures::replicated()));
    }
}
