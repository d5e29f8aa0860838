//! The ways in that are run for real. A new one is one line here.

use serde_json::{Value, json};
use ssefleet_crds::names;
use ssefleet_tests::{dial::Target, namespace::Namespace, stream::Stream};

/// A way in.
pub struct Way {
    /// As figures name it.
    pub name: &'static str,
    /// For namespaces.
    pub short: &'static str,
    /// `spec.exposure`.
    pub exposure: Value,
    /// The Service that it is reached at; none for what listens at the ingress' address.
    service: Option<fn(&str) -> String>,
}

pub fn ways() -> Vec<Way> {
    let ingress = |controller: &str, class: &str| json!({"ingress": {"controller": controller, "className": class}});
    let gateway =
        |of: &str| json!({"gateway": {"parentRefs": [{"name": "web", "namespace": "infra"}], "implementation": of}});
    let inside = json!({"service": {"type": "ClusterIP"}});
    vec![
        Way::at_the_ingress("Ingress, Traefik", "traefik", ingress("Traefik", "traefik")),
        Way::at_the_ingress(
            "Ingress of ingress-nginx' annotations, Traefik",
            "nginx",
            ingress("IngressNginx", "nginx"),
        ),
        Way::at_the_ingress("HTTPRoute, Traefik", "route", gateway("Traefik")),
        Way::at_a_service("edge, nginx", "edge", json!({"edge": inside}), names::edge),
        Way::at_a_service("Service", "service", inside, names::public),
    ]
}

impl Way {
    fn at_the_ingress(name: &'static str, short: &'static str, exposure: Value) -> Self {
        Self { name, short, exposure, service: None }
    }

    fn at_a_service(name: &'static str, short: &'static str, exposure: Value, service: fn(&str) -> String) -> Self {
        Self { name, short, exposure, service: Some(service) }
    }

    /// Whether a proxy stands in it, which answers by itself when no node does.
    pub fn has_a_proxy(&self) -> bool {
        self.short != "service"
    }

    /// Applies a stream with this way in, and goes by it from then on.
    pub async fn apply(&self, here: &Namespace, stream: Value) -> Stream {
        let mut stream = stream;
        stream["spec"]["exposure"] = self.exposure.clone();
        let stream = here.apply(stream).await;
        match self.service {
            None => stream,
            Some(name) => {
                let via = Target::Service { namespace: stream.namespace.clone(), name: name(&stream.name) };
                stream.through(via)
            }
        }
    }
}
