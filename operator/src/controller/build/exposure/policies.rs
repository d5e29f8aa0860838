//! What implementations want to be told besides the route, each in an object of its own kind.

use serde_json::{Value, json};
use ssefleet_crds::{
    Stream,
    exposure::{Gateway, Implementation},
    names::{self, Component},
};

use super::{Keeps, OptionalChild, dynamic, retry, retry::SENTENCE};
use crate::{controller::Wanted, optional::Kind};

/// The policy that goes with the route, where the implementation has one.
pub fn of_route(wanted: &Wanted, gateway: &Gateway) -> Option<OptionalChild> {
    let (kind, spec) = match gateway.implementation {
        Implementation::EnvoyGateway => (Kind::BackendTrafficPolicy, backend_traffic(wanted, gateway)),
        Implementation::NginxGatewayFabric => (Kind::ProxySettingsPolicy, proxy_settings(&wanted.stream)),
        Implementation::Standard | Implementation::Traefik | Implementation::Istio => return None,
    };
    Some(dynamic(wanted, kind, names::node(&wanted.stream.name), Component::Node, &spec))
}

/// The route that a policy is about.
fn targets(stream: &Stream) -> Value {
    json!([{"group": Kind::HttpRoute.group(), "kind": "HTTPRoute", "name": names::node(&stream.name)}])
}

/// <https://gateway.envoyproxy.io/docs/api/extension_types/#backendtrafficpolicy>
fn backend_traffic(wanted: &Wanted, gateway: &Gateway) -> Value {
    let stream = &wanted.stream;
    let mut spec = json!({
        "targetRefs": targets(stream),
        // A stream is a request that is not over: this counts streams, and so fills a node that has just come.
        "loadBalancer": {"type": "LeastRequest"},
    });
    if Keeps::gateway(wanted, gateway.implementation) == Keeps::ByController {
        let codes: Vec<_> = retry::STATUSES.iter().map(|status| json!({"type": "Value", "value": status})).collect();
        spec["responseOverride"] = json!([{
            "match": {"statusCodes": codes},
            // Envoy's own answers only: what a node says passes.
            "source": "Local",
            "response": {
                "statusCode": 200,
                "contentType": "text/event-stream",
                "header": {"set": headers(stream)},
                "body": {"type": "Inline", "inline": body(stream)},
            },
        }]);
    }
    spec
}

/// The milliseconds of the second in which the request came stand for chance, so that browsers do not come back all at
/// once: Envoy has no random number for a body.
fn body(stream: &Stream) -> String {
    let seconds = stream.connections.retry.as_secs().max(1);
    format!("retry: {seconds}%START_TIME(%3f)%\n: {SENTENCE}\n\n")
}

/// A page of another origin reads an answer only if that says so. Envoy can't choose among origins here: of several,
/// none is named, as none may be repeated unseen.
fn headers(stream: &Stream) -> Value {
    let mut headers = vec![json!({"name": "cache-control", "value": "no-store"})];
    if let Some(cors) = &stream.cors
        && let [origin] = cors.allowed_origins.as_slice()
        && (origin == "*" || !origin.contains('*'))
    {
        headers.push(json!({"name": "access-control-allow-origin", "value": origin}));
        if cors.allow_credentials {
            headers.push(json!({"name": "access-control-allow-credentials", "value": "true"}));
        }
    }
    json!(headers)
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
    use crate::controller::{build::golden, fixtures};

    fn built(spec: &str) -> String {
        let wanted = fixtures::wanted(fixtures::yaml(spec));
        golden(&of_route(&wanted, wanted.stream.exposure.gateway.as_ref().unwrap()).unwrap().object)
    }

    #[test]
    fn envoy_gateway() {
        insta::assert_snapshot!(built(
            "cors: {allowedOrigins: [https://app.example.com], allowCredentials: true}\nexposure: {gateway: {parentRefs: [{name: web}], implementation: EnvoyGateway}}"
        ));
    }

    #[test]
    fn envoy_names_no_origin_of_several() {
        let text = built(
            "cors: {allowedOrigins: [https://a.example.com, https://b.example.com]}\nexposure: {gateway: {parentRefs: [{name: web}], implementation: EnvoyGateway}}",
        );
        assert!(!text.contains("access-control"), "{text}");
    }

    #[test]
    fn envoy_before_an_edge_answers_nothing_by_itself() {
        let text = built("exposure: {edge: {}, gateway: {parentRefs: [{name: web}], implementation: EnvoyGateway}}");
        assert!(!text.contains("responseOverride"), "{text}");
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
