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

use super::{metadata, service};
use crate::controller::Wanted;

pub fn ingress(wanted: &Wanted, exposure: &exposure::Ingress) -> Ingress {
    let stream = &wanted.stream;
    let mut metadata = metadata(wanted, names::node(&stream.name), Component::Node);
    metadata.annotations = annotations(exposure);
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: names::node(&stream.name),
            port: Some(ServiceBackendPort { name: Some(service::PORT.into()), number: None }),
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

fn annotations(exposure: &exposure::Ingress) -> Option<BTreeMap<String, String>> {
    let ours = streaming(exposure.controller).iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut annotations: BTreeMap<_, _> = ours.collect();
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
        // Streams by itself; how long a response may take is static configuration of the entry point
        // (respondingTimeouts.writeTimeout, 0 by default), which no annotation reaches: the Exposed condition says so.
        // https://doc.traefik.io/traefik/reference/install-configuration/entrypoints/
        Controller::Traefik => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{build::golden, fixtures};

    fn built(spec: &str) -> Ingress {
        let wanted = fixtures::wanted(fixtures::yaml(spec));
        ingress(&wanted, wanted.stream.ingress.as_ref().unwrap())
    }

    #[test]
    fn ingress_nginx_with_tls() {
        insta::assert_snapshot!(golden(&built(
            "exposure: {ingress: {controller: IngressNginx, className: nginx, host: events.example.com, tls: {secretName: events-tls}}}"
        )));
    }

    #[test]
    fn traefik_for_any_host() {
        insta::assert_snapshot!(golden(&built(
            "path: /streams/\nexposure: {ingress: {controller: Traefik, className: traefik}}"
        )));
    }

    #[test]
    fn the_users_annotations_win() {
        let ingress = built(
            "exposure: {ingress: {controller: IngressNginx, annotations: {nginx.ingress.kubernetes.io/proxy-read-timeout: '600', a: b}}}",
        );
        let annotations = ingress.metadata.annotations.unwrap();
        assert_eq!(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"], "600");
        assert_eq!((annotations["a"].as_str(), annotations.len()), ("b", 5));
    }
}
