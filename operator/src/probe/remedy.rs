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
