//! The BackendTrafficPolicy, for Envoy Gateway: how streams are dealt out, how many may be open, and what browsers are
//! told while no node answers. Envoy says that itself, so what differs by request is an expression for it to evaluate:
//! `%CEL(…)%`, which Envoys from 1.34 on have without being told
//! (<https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/formatter/cel/v3/cel.proto>).

use serde_json::{Value, json};
use ssefleet_crds::{Stream, probe::NO_NODE, validated::Cors};

use super::{policies, retry::STATUSES};
use crate::controller::Wanted;

/// By default Envoy has 1,024 requests at a time to one service, and a stream is one for as long as it lasts. How many
/// there may be is the nodes' to say.
const ANY_NUMBER: u32 = u32::MAX;

/// How long the value of a header field may be, by the Gateway API.
const LONGEST: usize = 4096;

/// <https://gateway.envoyproxy.io/docs/api/extension_types/#backendtrafficpolicy>, as of 1.8, the first with `source`.
pub fn backend_traffic(wanted: &Wanted) -> Value {
    let stream = &wanted.stream;
    let mut spec = json!({
        "targetRefs": policies::targets(stream),
        // A stream is a request that is not over: this counts streams, and so fills a node that has just come.
        "loadBalancer": {"type": "LeastRequest"},
        "circuitBreaker": {
            "maxConnections": ANY_NUMBER,
            "maxPendingRequests": ANY_NUMBER,
            "maxParallelRequests": ANY_NUMBER,
            "maxParallelRetries": 1024, // the server would fill it in
        },
    });
    if stream.exposure.edge.is_none() {
        let codes: Vec<_> = STATUSES.iter().map(|status| json!({"type": "Value", "value": status})).collect();
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

/// `connections.retry` ±50 %, so that browsers do not come back all at once. Envoy has no random number here. The
/// millisecond in which a request came stands for chance, and connections that came together are told apart by their
/// running number: steps of 0.617, about the golden ratio, spread any number of them evenly.
fn body(stream: &Stream) -> String {
    let retry = stream.connections.retry.as_millis();
    let least = retry / 2;
    format!(
        "retry: %CEL({least} + (request.time.getMilliseconds() + int(connection.id) * 617) % 1000 * {retry} / 1000)%\n: {NO_NODE}\n\n"
    )
}

/// As the nodes answer (`sse-node/src/http/cors.rs`): a page of another origin reads an answer only if that says so.
fn headers(stream: &Stream) -> Value {
    let mut headers = vec![json!({"name": "cache-control", "value": "no-store"})];
    let mut set = |name: &str, value: &str| headers.push(json!({"name": name, "value": value}));
    if let Some(cors) = &stream.cors {
        set("vary", "origin");
        if is_any(cors) {
            set("access-control-allow-origin", "*");
        } else if fits(cors) {
            set("access-control-allow-origin", &if_allowed(cors, ORIGIN));
            if cors.allow_credentials {
                set("access-control-allow-credentials", &if_allowed(cors, "'true'"));
            }
        }
    }
    json!(headers)
}

/// Whether all origins that may read the stream may read what Envoy says.
pub fn tells_all_origins(stream: &Stream) -> bool {
    stream.cors.as_ref().is_none_or(|cors| is_any(cors) || fits(cors))
}

fn is_any(cors: &Cors) -> bool {
    cors.allowed_origins.iter().any(|allowed| allowed == "*")
}

fn fits(cors: &Cors) -> bool {
    if_allowed(cors, ORIGIN).len() <= LONGEST
}

const ORIGIN: &str = "request.headers['origin']";

/// Something, if the request is of an origin of the list; else nothing, and a field of nothing is not sent.
fn if_allowed(cors: &Cors, something: &str) -> String {
    let one = |allowed: &String| match allowed.split_once("*.") {
        Some((scheme, domain)) => format!("{scheme}[a-z0-9.-]+[.]{}", domain.replace('.', "[.]")),
        None => allowed.replace('.', "[.]"),
    };
    let list = cors.allowed_origins.iter().map(one).collect::<Vec<_>>().join("|");
    format!("%CEL({ORIGIN}.matches('^({list})$') ? {something} : '')%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    fn built(spec: &str) -> String {
        let gateway = "gateway: {parentRefs: [{name: web}], implementation: EnvoyGateway}";
        let wanted = fixtures::wanted(fixtures::yaml(&spec.replace("GATEWAY", gateway)));
        let policy = policies::of_route(&wanted, wanted.stream.exposure.gateway.as_ref().unwrap());
        golden(&policy.unwrap().object)
    }

    #[test]
    fn with_origins_and_one_that_stands_for_many() {
        insta::assert_snapshot!(built(
            "cors: {allowedOrigins: [https://app.example.com, 'http://*.local:3000'], allowCredentials: true}\nexposure: {GATEWAY}"
        ));
    }

    #[test]
    fn any_origin_is_told_without_looking_and_none_is_told_nothing() {
        let text = built("cors: {allowedOrigins: ['*']}\nexposure: {GATEWAY}");
        assert!(text.contains("value: \"*\""), "{text}");
        let text = built("exposure: {GATEWAY}");
        assert!(
            text.contains("responseOverride") && !text.contains("vary") && !text.contains("access-control"),
            "{text}"
        );
    }

    #[test]
    fn origins_that_do_not_fit_are_left_out() {
        let origins: Vec<_> = (0..200).map(|app| format!("https://app-{app}.example.com")).collect();
        let text = built(&format!("cors: {{allowedOrigins: [{}]}}\nexposure: {{GATEWAY}}", origins.join(", ")));
        assert!(text.contains("vary") && !text.contains("access-control"), "{text}");
    }

    #[test]
    fn before_an_edge_envoy_answers_nothing_by_itself() {
        let text = built("exposure: {edge: {}, GATEWAY}");
        assert!(text.contains("LeastRequest") && !text.contains("responseOverride"), "{text}");
    }
}
