//! By which ways a stream can be reached now, as a probe has to know them.

use std::collections::BTreeMap;

use k8s_openapi::api::{core::v1::Service, networking::v1::Ingress};
use kube::{ResourceExt, api::DynamicObject};
use ssefleet_crds::exposure::{self, Controller, Implementation, ServiceType};

use super::exposure::{Endpoint, given, port};
use crate::{
    controller::{
        Wanted,
        children::{Applied, Children, exposure::EdgeChildren},
    },
    probe::{Certificate, Via, Way},
};

/// The ways in that have an address.
pub(super) fn ways(wanted: &Wanted, applied: &Children<Applied>, gateway: Option<&DynamicObject>) -> Vec<Way> {
    let (spec, children) = (&wanted.stream.exposure, &applied.exposure);
    let edge = spec.edge.as_ref().zip(children.edge.as_ref());
    let service = spec.service.as_ref().zip(children.service.as_ref());
    let mut ways: Vec<Way> = [
        spec.ingress.as_ref().zip(children.ingress.as_ref()).and_then(|(spec, child)| by_ingress(spec, child)),
        spec.gateway.as_ref().and_then(|spec| by_gateway(spec, gateway)),
        edge.and_then(|(spec, child)| by_edge(spec, child)),
        service.and_then(|(spec, child)| by_service(Via::Service, spec, child)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some((address, port)) = spec.probe.address.as_deref().and_then(split) {
        for way in &mut ways {
            (way.address, way.port) = (address.to_owned(), port);
        }
    }
    ways
}

fn by_ingress(spec: &exposure::Ingress, ingress: &Ingress) -> Option<Way> {
    let balancer = ingress.status.as_ref()?.load_balancer.as_ref()?;
    let address = balancer.ingress.as_ref()?.first()?;
    let address = address.ip.clone().or_else(|| address.hostname.clone())?;
    Some(Way {
        via: match spec.controller {
            Controller::IngressNginx => Via::IngressNginx,
            Controller::NginxInc => Via::NginxInc,
            Controller::Traefik => Via::Traefik,
            Controller::HAProxy => Via::HAProxy,
            Controller::Contour => Via::Contour,
        },
        host: spec.host.as_deref().map_or_else(|| address.clone(), of_wildcard),
        address,
        port: if spec.tls.is_some() { 443 } else { 80 },
        tls: spec.tls.as_ref().map(|tls| Certificate { secret: Some(tls.secret_name.clone()) }),
        overrides: spec.annotations.clone(),
    })
}

fn by_gateway(spec: &exposure::Gateway, gateway: Option<&DynamicObject>) -> Option<Way> {
    let endpoint = Endpoint::of(spec, gateway)?;
    Some(Way {
        via: match spec.implementation {
            Implementation::Traefik => Via::Traefik,
            Implementation::EnvoyGateway => Via::EnvoyGateway,
            Implementation::NginxGatewayFabric => Via::NginxGatewayFabric,
            Implementation::Standard | Implementation::Istio => Via::Gateway,
        },
        host: of_wildcard(&endpoint.host),
        port: endpoint.port.map_or(if endpoint.tls { 443 } else { 80 }, as_port),
        tls: endpoint.tls.then_some(Certificate { secret: None }),
        address: endpoint.address.unwrap_or(endpoint.host),
        overrides: BTreeMap::new(),
    })
}

fn by_edge(spec: &exposure::Edge, edge: &EdgeChildren) -> Option<Way> {
    let way = by_service(Via::Edge, &spec.service, &edge.service)?;
    let host = spec.host.clone().unwrap_or_else(|| way.host.clone());
    let tls = spec.tls.as_ref().map(|tls| Certificate { secret: Some(tls.secret_name.clone()) });
    Some(Way { host, tls, ..way })
}

/// A port of every host is the Service's own port as well, inside the cluster.
fn by_service(via: Via, spec: &exposure::Service, service: &Service) -> Option<Way> {
    let inside = || format!("{}.{}.svc", service.name_any(), service.namespace().unwrap_or_default());
    let address = match spec.type_ {
        ServiceType::LoadBalancer => given(service)?,
        ServiceType::NodePort | ServiceType::ClusterIP => inside(),
    };
    let port = port(service).map(as_port)?;
    Some(Way { via, host: address.clone(), address, port, tls: None, overrides: BTreeMap::new() })
}

fn as_port(port: i32) -> u16 {
    u16::try_from(port).unwrap_or_default()
}

/// Any name will do that the wildcard stands for.
fn of_wildcard(host: &str) -> String {
    host.strip_prefix('*').map_or_else(|| host.to_owned(), |rest| format!("probe{rest}"))
}

/// ADDRESS:PORT; an IPv6 address is in brackets.
fn split(address: &str) -> Option<(&str, u16)> {
    let (address, port) = address.rsplit_once(':')?;
    Some((address.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::networking::v1::{IngressLoadBalancerIngress, IngressLoadBalancerStatus, IngressStatus};

    use super::*;
    use crate::controller::{fixtures, status::tests::applied};

    fn told(spec: &str) -> Vec<String> {
        let wanted = fixtures::wanted(fixtures::yaml(spec));
        let mut children = applied(&wanted);
        assert!(!spec.contains("ingress") || ways(&wanted, &children, None).is_empty(), "it has no address yet");
        if let Some(ingress) = &mut children.exposure.ingress {
            let address = IngressLoadBalancerIngress { ip: Some("192.0.2.1".into()), ..Default::default() };
            let load_balancer = Some(IngressLoadBalancerStatus { ingress: Some(vec![address]) });
            ingress.status = Some(IngressStatus { load_balancer });
        }
        ways(&wanted, &children, None).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_way_in_is_probed() {
        assert_eq!(
            told(
                "exposure: {gateway: {parentRefs: [{name: web}], hostnames: ['*.example.com']}, edge: {service: {type: NodePort, port: 8080}}, service: {type: ClusterIP}}"
            ),
            ["http://quotes-edge.market.svc:8080", "http://quotes-public.market.svc"]
        );
        assert_eq!(
            told("exposure: {gateway: {parentRefs: [{name: web}], hostnames: [events.example.com]}}"),
            ["http://events.example.com"]
        );
        assert_eq!(
            told("exposure: {edge: {host: events.example.com, tls: {secretName: s}, service: {type: ClusterIP}}}"),
            ["https://events.example.com by quotes-edge.market.svc:443"]
        );
    }

    #[test]
    fn each_way_is_reached_where_it_is_and_asked_for_by_its_name() {
        let none: [&str; 0] = [];
        assert_eq!(told("{}"), none);
        assert_eq!(told("exposure: {ingress: {controller: Traefik}}"), ["http://192.0.2.1"]);
        assert_eq!(
            told("exposure: {ingress: {controller: Traefik, host: '*.example.com', tls: {secretName: s}}}"),
            ["https://probe.example.com by 192.0.2.1:443"]
        );
        assert_eq!(
            told(
                "exposure: {ingress: {controller: Traefik, host: a.example.com}, probe: {address: '[2001:db8::1]:8080'}}"
            ),
            ["http://a.example.com:8080 by [2001:db8::1]:8080"]
        );
    }
}
