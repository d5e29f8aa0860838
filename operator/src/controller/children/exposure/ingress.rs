//! The Ingress, told in its controller's own words not to buffer and not to cut long streams.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    IngressTLS, ServiceBackendPort,
};
use ssefleet_crds::{
    exposure::{self, Controller},
    names::{self, Component},
};

use super::{Front, Keeps, metadata, retry};
use crate::controller::Wanted;

pub fn ingress(wanted: &Wanted, exposure: &exposure::Ingress) -> Ingress {
    let stream = &wanted.stream;
    let mut metadata = metadata(wanted, names::node(&stream.name), Component::Node);
    metadata.annotations = annotations(wanted, exposure);
    let front = Front::of(wanted);
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: front.name,
            port: Some(ServiceBackendPort { number: Some(front.port), name: None }),
        }),
        resource: None,
    };
    let path = HTTPIngressPath {
        path: Some(stream.path.clone()),
        path_type: if stream.path.ends_with('/') { "Prefix" } else { "Exact" }.into(),
        backend,
    };
    let tls = exposure.tls.as_ref().map(|tls| {
        let hosts = exposure.host.clone().map(|host| vec![host]);
        vec![IngressTLS { hosts, secret_name: Some(tls.secret_name.clone()) }]
    });
    Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: exposure.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: exposure.host.clone(),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn annotations(wanted: &Wanted, exposure: &exposure::Ingress) -> Option<BTreeMap<String, String>> {
    let ours = streaming(exposure.controller).iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut annotations: BTreeMap<_, _> = ours.collect();
    if Keeps::ingress(wanted, exposure.controller) == Keeps::ByController {
        annotations.extend(keeping(wanted, exposure.controller));
    }
    if let Some(tls) = &exposure.tls {
        // https://cert-manager.io/docs/usage/ingress/
        let named = [("cert-manager.io/issuer", &tls.issuer), ("cert-manager.io/cluster-issuer", &tls.cluster_issuer)];
        annotations.extend(named.into_iter().filter_map(|(key, name)| Some((key.to_owned(), name.clone()?))));
    }
    annotations.extend(exposure.annotations.clone());
    (!annotations.is_empty()).then_some(annotations)
}

/// What makes each controller stream.
fn streaming(controller: Controller) -> &'static [(&'static str, &'static str)] {
    match controller {
        // https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/: timeouts are in
        // seconds and have no unit; nginx counts them between two reads or writes, not over the whole stream.
        Controller::IngressNginx => &[
            ("nginx.ingress.kubernetes.io/proxy-buffering", "off"),
            ("nginx.ingress.kubernetes.io/proxy-http-version", "1.1"),
            ("nginx.ingress.kubernetes.io/proxy-read-timeout", "86400"),
            ("nginx.ingress.kubernetes.io/proxy-send-timeout", "86400"),
        ],
        // https://docs.nginx.com/nginx-ingress-controller/configuration/ingress-resources/advanced-configuration-with-annotations/
        // Buffering is on by default. `keepalive` is what makes it speak HTTP/1.1 with an empty Connection to the nodes.
        Controller::NginxInc => &[
            ("nginx.org/keepalive", "32"),
            ("nginx.org/proxy-buffering", "false"),
            ("nginx.org/proxy-read-timeout", "24h"),
            ("nginx.org/proxy-send-timeout", "24h"),
        ],
        // Streams by itself; how long a response may take is static configuration of the entry point
        // (respondingTimeouts.writeTimeout, 0 by default), which no annotation reaches: the Exposed condition says so.
        // https://doc.traefik.io/traefik/reference/install-configuration/entrypoints/
        Controller::Traefik => &[],
        // https://github.com/haproxytech/kubernetes-ingress/blob/master/documentation/annotations.md: streams by itself,
        // cuts at 50 s of silence; round robin would give a node that has just come no more than its turn.
        Controller::HAProxy => &[("haproxy.org/load-balance", "leastconn"), ("haproxy.org/timeout-server", "24h")],
        // https://projectcontour.io/docs/main/config/annotations/: unset is Envoy's 15 s over the whole stream.
        Controller::Contour => &[("projectcontour.io/response-timeout", "infinity")],
    }
}

/// What makes a controller answer a retry stream, from the Service of [`retry`], where it would answer 502, 503 or 504.
fn keeping(wanted: &Wanted, controller: Controller) -> Vec<(String, String)> {
    let stream = &wanted.stream;
    let annotation = |key: &str, value: String| (key.to_owned(), value);
    match controller {
        // The default backend's own status, 200, is what the client gets. It serves the Ingress too when the nodes'
        // Service has no endpoint at all.
        Controller::IngressNginx => vec![
            annotation(
                "nginx.ingress.kubernetes.io/custom-http-errors",
                retry::STATUSES.map(|s| s.to_string()).join(","),
            ),
            annotation("nginx.ingress.kubernetes.io/default-backend", names::retry(&stream.name)),
        ],
        Controller::Traefik => vec![annotation(
            "traefik.ingress.kubernetes.io/router.middlewares",
            format!("{}-{}@kubernetescrd", stream.namespace, names::retry(&stream.name)),
        )],
        Controller::NginxInc | Controller::HAProxy | Controller::Contour => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    fn built(spec: &str) -> Ingress {
        let wanted = fixtures::wanted(fixtures::yaml(spec));
        ingress(&wanted, wanted.stream.exposure.ingress.as_ref().unwrap())
    }

    #[test]
    fn ingress_nginx_with_tls() {
        insta::assert_snapshot!(golden(&built(
            "exposure: {ingress: {controller: IngressNginx, className: nginx, host: events.example.com, tls: {secretName: events-tls}}}"
        )));
    }

    #[test]
    fn nginx_inc_with_a_certificate_of_an_issuer() {
        insta::assert_snapshot!(golden(&built(
            "exposure: {ingress: {controller: NginxInc, className: nginx, host: events.example.com, tls: {secretName: events-tls, issuer: acme}}}"
        )));
    }

    #[test]
    fn traefik_for_any_host() {
        insta::assert_snapshot!(golden(&built(
            "path: /streams/\nexposure: {ingress: {controller: Traefik, className: traefik}}"
        )));
    }

    #[test]
    fn haproxy() {
        insta::assert_snapshot!(golden(&built("exposure: {ingress: {controller: HAProxy, host: events.example.com}}")));
    }

    #[test]
    fn contour_with_a_certificate_of_the_clusters_issuer() {
        insta::assert_snapshot!(golden(&built(
            "exposure: {ingress: {controller: Contour, host: events.example.com, tls: {secretName: events-tls, clusterIssuer: acme}}}"
        )));
    }

    #[test]
    fn with_an_edge_it_leads_there_and_needs_nothing_to_keep_browsers() {
        insta::assert_snapshot!(golden(&built("exposure: {ingress: {controller: IngressNginx}, edge: {}}")));
    }

    #[test]
    fn the_users_annotations_win() {
        let ingress = built(
            "exposure: {ingress: {controller: IngressNginx, annotations: {nginx.ingress.kubernetes.io/proxy-read-timeout: '600', a: b}}}",
        );
        let annotations = ingress.metadata.annotations.unwrap();
        assert_eq!(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"], "600");
        assert_eq!((annotations["a"].as_str(), annotations.len()), ("b", 7));
    }
}
