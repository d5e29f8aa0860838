//! The ways in that are run for real. A new one is one line here.

use serde_json::{Value, json};
use ssefleet_crds::names;
use ssefleet_tests::{dial::Target, figures, namespace::Namespace, settings::Settings, stream::Stream};

/// A way in.
pub struct Way {
    /// As figures name it.
    pub name: &'static str,
    /// For namespaces.
    pub short: &'static str,
    /// `spec.exposure`.
    pub exposure: Value,
    at: At,
}

/// Where it is reached.
enum At {
    Ingress,
    Address(String),
    /// The Service that a stream of this name has for it.
    Service(fn(&str) -> String),
}

/// All that this cluster has. What it lacks is told among the figures, at the end of the run.
pub fn ways(cluster: &Settings) -> Vec<Way> {
    let ingress = |controller: &str, class: &str| json!({"ingress": {"controller": controller, "className": class}});
    let inside = json!({"service": {"type": "ClusterIP"}});
    let mut ways = vec![
        Way::at_the_ingress("Ingress, Traefik", "traefik", ingress("Traefik", "traefik")),
        Way::at_the_ingress(
            "Ingress of ingress-nginx' annotations, Traefik",
            "nginx",
            ingress("IngressNginx", "nginx"),
        ),
        Way::at_the_ingress("HTTPRoute, Traefik", "route", gateway("infra", "web", "Traefik")),
        Way::at_a_service("edge, nginx", "edge", json!({"edge": inside}), names::edge),
        Way::at_a_service("Service", "service", inside, names::public),
    ];
    match &cluster.envoy {
        Some(address) => ways.push(envoy(address)),
        None => figures::record(ENVOY, "not tried: SSEFLEET_ENVOY_ADDRESS is not set, so this cluster has none"),
    }
    ways
}

const ENVOY: &str = "HTTPRoute, Envoy Gateway";

/// The Gateway that `tests/cluster/cluster envoy-gateway` makes.
pub fn envoy(address: &str) -> Way {
    let exposure = gateway("envoy-gateway-system", "envoy", "EnvoyGateway");
    Way { name: ENVOY, short: "envoy", exposure, at: At::Address(address.into()) }
}

fn gateway(namespace: &str, name: &str, implementation: &str) -> Value {
    json!({"gateway": {"parentRefs": [{"name": name, "namespace": namespace}], "implementation": implementation}})
}

impl Way {
    fn at_the_ingress(name: &'static str, short: &'static str, exposure: Value) -> Self {
        Self { name, short, exposure, at: At::Ingress }
    }

    fn at_a_service(name: &'static str, short: &'static str, exposure: Value, service: fn(&str) -> String) -> Self {
        Self { name, short, exposure, at: At::Service(service) }
    }

    /// Whether a proxy stands in it, which answers by itself when no node does.
    pub fn has_a_proxy(&self) -> bool {
        self.short != "service"
    }

    /// Whether it is at a Service's own address, which is not reached from here on every cluster.
    pub fn is_at_a_service(&self) -> bool {
        matches!(self.at, At::Service(_))
    }

    /// Applies a stream with this way in, and goes by it from then on.
    pub async fn apply(&self, here: &Namespace, stream: Value) -> Stream {
        let mut stream = stream;
        stream["spec"]["exposure"] = self.exposure.clone();
        let stream = here.apply(stream).await;
        let via = match &self.at {
            At::Ingress => Target::Ingress,
            At::Address(address) => Target::Address(address.clone()),
            At::Service(name) => Target::Service { namespace: stream.namespace.clone(), name: name(&stream.name) },
        };
        stream.through(via)
    }
}
