//! What to do about a finding: a table by what serves the way in.

use super::{
    finding::Outcome,
    way::{Via, Way},
};

/// The annotations of one controller that decide how it treats a stream, and where to look if they are right.
struct Knobs {
    /// Annotation, and the value that does not buffer.
    buffering: Option<(&'static str, &'static str)>,
    /// Annotation, and a value that lets a stream live for a day.
    timeout: Option<(&'static str, &'static str)>,
    buffered: &'static str,
    cut: &'static str,
}

/// docs/verified.md has it too.
fn knobs(via: Via) -> Knobs {
    match via {
        Via::IngressNginx => Knobs {
            buffering: Some(("nginx.ingress.kubernetes.io/proxy-buffering", "off")),
            timeout: Some(("nginx.ingress.kubernetes.io/proxy-read-timeout", "86400")),
            buffered: "The Ingress says proxy-buffering: \"off\": see whether the controller's ConfigMap, a snippet, or a proxy in front of the controller buffers",
            cut: "The Ingress allows a day of silence: see the timeouts of the load balancer in front of the controller, and of snippets",
        },
        Via::Traefik => Knobs {
            buffering: None,
            timeout: None,
            buffered: "Traefik streams by itself: take the middlewares buffering and compress off this route (traefik.ingress.kubernetes.io/router.middlewares), or see what is in front of Traefik",
            cut: "Set respondingTimeouts.writeTimeout and readTimeout of Traefik's entry point to 0, and forwardingTimeouts of its serversTransport as well, or see the timeouts of the load balancer in front of Traefik",
        },
        Via::NginxInc => Knobs {
            buffering: Some(("nginx.org/proxy-buffering", "false")),
            timeout: Some(("nginx.org/proxy-read-timeout", "24h")),
            buffered: "The Ingress says nginx.org/proxy-buffering: \"false\": see whether a snippet, or a proxy in front of the controller buffers",
            cut: "The Ingress allows a day of silence: see the timeouts of the load balancer in front of the controller, and of snippets",
        },
        Via::HAProxy => Knobs {
            buffering: None,
            timeout: Some(("haproxy.org/timeout-server", "24h")),
            buffered: "HAProxy streams by itself: see what is in front of it",
            cut: "The Ingress allows a day of silence: see timeout-client of the controller's ConfigMap, and the timeouts of the load balancer in front of it",
        },
        Via::Contour => Knobs {
            buffering: None,
            timeout: Some(("projectcontour.io/response-timeout", "infinity")),
            buffered: "Contour streams by itself: see what is in front of it",
            cut: "The Ingress has no deadline: see stream-idle-timeout and max-connection-duration of Contour's configuration, and the timeouts of the load balancer in front of it",
        },
        Via::EnvoyGateway => Knobs {
            buffering: None,
            timeout: None,
            buffered: "Envoy streams by itself: take requestBuffer and compression off the policies of this Gateway, or see what is in front of it",
            cut: "The route has no deadline: see requestTimeout, streamTimeout and idle timeouts in the BackendTrafficPolicies and ClientTrafficPolicies of this Gateway, or the load balancer in front of it",
        },
        Via::NginxGatewayFabric => Knobs {
            buffering: None,
            timeout: None,
            buffered: "The ProxySettingsPolicy of this stream turns buffering off: see whether another one of the Gateway, or a SnippetsFilter, turns it on",
            cut: "Its nginx cuts what is silent for 60s: see that connections.heartbeatInterval is shorter, and the timeouts of snippets",
        },
        Via::Gateway => Knobs {
            buffering: None,
            timeout: None,
            buffered: "See which policies of this Gateway buffer or compress answers, and set exposure.gateway.implementation if it is one that is known",
            cut: "The route has no deadline (timeouts.request: 0s): see which policies of this Gateway set one, or whether it follows the route's at all",
        },
        Via::Edge => Knobs {
            buffering: None,
            timeout: None,
            buffered: "The edge passes events on as they come: see what is in front of its Service",
            cut: "The edge allows a day of silence: see the timeouts of the load balancer in front of its Service",
        },
        Via::Service => Knobs {
            buffering: None,
            timeout: None,
            buffered: "Nothing here holds events back: see what is in front of the Service",
            cut: "Nothing here has a deadline: see the timeouts of the load balancer, which exposure.service.annotations may set",
        },
    }
}

/// A sentence that says what to do; empty if there is nothing.
pub fn remedy(outcome: Outcome, way: &Way) -> String {
    let knobs = knobs(way.via);
    match outcome {
        Outcome::Streaming => String::new(),
        Outcome::Buffered => knob(way, knobs.buffering, knobs.buffered),
        Outcome::CutShort => knob(way, knobs.timeout, knobs.cut),
        Outcome::Compressed => {
            "Take text/event-stream out of what that proxy compresses; spec.compression.mode Transport compresses without holding anything back".into()
        }
        Outcome::WrongAnswer => format!(
            "See that nothing else serves {}, and that nothing in front asks for a login; where that is meant so, set exposure.probe.enabled to false",
            way.authority()
        ),
        Outcome::NoNode => {
            "That passes within seconds after the first pod is ready; if it does not, see whether what serves that address reaches the pods: NetworkPolicies, and its log".into()
        }
        Outcome::NoAnswer => "See the log of what serves that address".into(),
        Outcome::TlsFailed => match way.tls.as_ref().and_then(|tls| tls.secret.as_ref()) {
            Some(secret) => format!(
                "The certificate must be of {}, of today, and that of Secret {secret}, or of an authority that is known or in there: kubectl describe secret {secret}",
                way.host
            ),
            None => format!("The certificate must be of {}, of today, and of an authority that is known", way.host),
        },
        Outcome::NotReached => {
            "If subscribers reach it and only the operator can't, set exposure.probe.address to an address that it reaches, or exposure.probe.enabled to false".into()
        }
        Outcome::NotProbed => "It is tried again; if this lasts, see the nodes' logs".into(),
    }
}

fn knob(way: &Way, knob: Option<(&'static str, &'static str)>, otherwise: &str) -> String {
    let Some((key, good)) = knob else { return otherwise.to_owned() };
    match way.overrides.get(key) {
        Some(value) if value != good => {
            format!("exposure.ingress.annotations sets {key} to \"{value}\": remove it there, or set it to \"{good}\"")
        }
        _ => otherwise.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(via: Via, overrides: &[(&str, &str)]) -> Way {
        let overrides = overrides.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Way { via, address: "192.0.2.1".into(), port: 80, host: "events.test".into(), tls: None, overrides }
    }

    #[test]
    fn an_annotation_of_the_users_is_named() {
        let way = way(
            Via::IngressNginx,
            &[
                ("nginx.ingress.kubernetes.io/proxy-buffering", "on"),
                ("nginx.ingress.kubernetes.io/proxy-read-timeout", "2"),
            ],
        );
        assert_eq!(
            remedy(Outcome::Buffered, &way),
            "exposure.ingress.annotations sets nginx.ingress.kubernetes.io/proxy-buffering to \"on\": remove it there, or set it to \"off\""
        );
        assert!(remedy(Outcome::CutShort, &way).contains("proxy-read-timeout to \"2\""));
    }

    #[test]
    fn whatever_is_wrong_there_is_something_to_do() {
        for via in [Via::IngressNginx, Via::Traefik] {
            for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Streaming) {
                assert!(remedy(outcome, &way(via, &[])).len() > 20, "{via:?} {outcome:?}");
            }
        }
    }
}
