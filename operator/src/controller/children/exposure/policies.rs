//! What implementations want to be told besides the route, each in an object of its own kind.

use serde_json::{Value, json};
use ssefleet_crds::{
    Stream,
    exposure::{Gateway, Implementation},
    names::{self, Component},
};

use super::{OptionalChild, dynamic, envoy, retry};
use crate::{controller::Wanted, optional::Kind};

/// The policy that goes with the route, where the implementation has one.
pub fn of_route(wanted: &Wanted, gateway: &Gateway) -> Option<OptionalChild> {
    let (kind, spec) = match gateway.implementation {
        Implementation::EnvoyGateway => (Kind::BackendTrafficPolicy, envoy::backend_traffic(wanted)),
        Implementation::NginxGatewayFabric => (Kind::ProxySettingsPolicy, proxy_settings(&wanted.stream)),
        Implementation::Standard | Implementation::Traefik | Implementation::Istio => return None,
    };
    Some(dynamic(wanted, kind, names::node(&wanted.stream.name), Component::Node, &spec))
}

/// The route that a policy is about.
pub(super) fn targets(stream: &Stream) -> Value {
    json!([{"group": Kind::HttpRoute.group(), "kind": "HTTPRoute", "name": names::node(&stream.name)}])
}

/// <https://docs.nginx.com/nginx-gateway-fabric/traffic-management/proxy-settings/>. Its nginx ends a stream after 60 s
/// of silence, which heartbeats do not let come about.
fn proxy_settings(stream: &Stream) -> Value {
    json!({"targetRefs": targets(stream), "buffering": {"disable": true}})
}

/// Leads Traefik to the retry streams.
/// <https://doc.traefik.io/traefik/reference/routing-configuration/http/middlewares/errorpages/>
pub fn middleware(wanted: &Wanted) -> OptionalChild {
    let name = names::retry(&wanted.stream.name);
    let [first, .., last] = retry::STATUSES;
    let statuses = format!("{first}-{last}");
    let spec = json!({"errors": {
        "status": [&statuses],
        "statusRewrites": {&statuses: 200},
        "service": {"name": name, "port": super::super::service::NUMBER},
        "query": "/",
    }});
    dynamic(wanted, Kind::Middleware, name, Component::Retry, &spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    fn built(spec: &str) -> String {
        let wanted = fixtures::wanted(fixtures::yaml(spec));
        golden(&of_route(&wanted, wanted.stream.exposure.gateway.as_ref().unwrap()).unwrap().object)
    }

    #[test]
    fn nginx_gateway_fabric() {
        insta::assert_snapshot!(built(
            "exposure: {gateway: {parentRefs: [{name: web}], implementation: NginxGatewayFabric}}"
        ));
    }

    #[test]
    fn traefik() {
        let spec = "exposure: {ingress: {controller: Traefik}}";
        insta::assert_snapshot!(golden(&middleware(&fixtures::wanted(fixtures::yaml(spec))).object));
    }
}
