//! The HTTPRoute, without a deadline for a stream.

use serde_json::{Value, json};
use ssefleet_crds::{
    exposure,
    names::{self, Component},
};

use super::{Front, Keeps, OptionalChild, dynamic};
use crate::{controller::Wanted, optional::Kind};

/// <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>
pub fn route(wanted: &Wanted, gateway: &exposure::Gateway) -> OptionalChild {
    let stream = &wanted.stream;
    let front = Front::of(wanted);
    let kind = if stream.path.ends_with('/') { "PathPrefix" } else { "Exact" };
    let mut rule = json!({
        "matches": [{"path": {"type": kind, "value": stream.path}}],
        "backendRefs": [{"group": "", "kind": "Service", "name": front.name, "port": front.port, "weight": 1}],
        // 0s is no deadline (GEP-1742). Unset is what the implementation likes: Envoy's 15 s, over the whole stream.
        "timeouts": {"request": "0s", "backendRequest": "0s"},
    });
    if gateway.implementation == exposure::Implementation::Traefik
        && Keeps::gateway(wanted, gateway.implementation) == Keeps::ByController
    {
        let middleware =
            json!({"group": Kind::Middleware.group(), "kind": "Middleware", "name": names::retry(&stream.name)});
        rule["filters"] = json!([{"type": "ExtensionRef", "extensionRef": middleware}]);
    }
    let mut spec = json!({
        "parentRefs": gateway.parent_refs.iter().map(|parent| self::parent(wanted, parent)).collect::<Vec<_>>(),
        "rules": [rule],
    });
    if !gateway.hostnames.is_empty() {
        spec["hostnames"] = json!(gateway.hostnames);
    }
    dynamic(wanted, Kind::HttpRoute, names::node(&stream.name), Component::Node, &spec)
}

/// With all that the server would fill in, so that what is sent is what is there.
fn parent(wanted: &Wanted, parent: &exposure::ParentRef) -> Value {
    let namespace = parent.namespace.as_ref().unwrap_or(&wanted.stream.namespace);
    let mut reference = json!({
        "group": Kind::HttpRoute.group(), "kind": "Gateway", "name": parent.name, "namespace": namespace,
    });
    if let Some(section) = &parent.section_name {
        reference["sectionName"] = json!(section);
    }
    if let Some(port) = parent.port {
        reference["port"] = json!(port);
    }
    reference
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    fn built(spec: &str) -> String {
        let wanted = fixtures::wanted(fixtures::yaml(spec));
        golden(&route(&wanted, wanted.stream.exposure.gateway.as_ref().unwrap()).object)
    }

    #[test]
    fn any_implementation() {
        insta::assert_snapshot!(built("exposure: {gateway: {parentRefs: [{name: web}]}}"));
    }

    #[test]
    fn two_listeners_and_two_host_names() {
        insta::assert_snapshot!(built(
            "path: /streams/\nexposure: {gateway: {parentRefs: [{name: web, namespace: infra, sectionName: https}, {name: web, namespace: infra, port: 8080}], hostnames: [events.example.com, '*.events.example.com'], implementation: EnvoyGateway}}"
        ));
    }

    #[test]
    fn traefik_is_led_to_what_keeps_browsers() {
        insta::assert_snapshot!(built("exposure: {gateway: {parentRefs: [{name: web}], implementation: Traefik}}"));
    }

    #[test]
    fn with_an_edge_it_leads_there() {
        insta::assert_snapshot!(built(
            "exposure: {gateway: {parentRefs: [{name: web}], implementation: Traefik}, edge: {service: {port: 8080}}}"
        ));
    }
}
