//! By which ways a stream can be reached now, as a probe has to know them.

use k8s_openapi::api::networking::v1::Ingress;
use ssefleet_crds::{Stream, exposure::Controller};

use crate::probe::{Certificate, Via, Way};

/// The ways in that have an address.
pub(super) fn ways(stream: &Stream, ingress: Option<&Ingress>) -> Vec<Way> {
    let mut ways: Vec<Way> = by_ingress(stream, ingress).into_iter().collect();
    if let Some((address, port)) = stream.probe.address.as_deref().and_then(split) {
        for way in &mut ways {
            (way.address, way.port) = (address.to_owned(), port);
        }
    }
    ways
}

fn by_ingress(stream: &Stream, ingress: Option<&Ingress>) -> Option<Way> {
    let wanted = stream.ingress.as_ref()?;
    let balancer = ingress?.status.as_ref()?.load_balancer.as_ref()?;
    let address = balancer.ingress.as_ref()?.first()?;
    let address = address.ip.clone().or_else(|| address.hostname.clone())?;
    Some(Way {
        via: match wanted.controller {
            Controller::IngressNginx => Via::IngressNginx,
            Controller::Traefik => Via::Traefik,
        },
        host: wanted.host.as_deref().map_or_else(|| address.clone(), of_wildcard),
        address,
        port: if wanted.tls.is_some() { 443 } else { 80 },
        tls: wanted.tls.as_ref().map(|tls| Certificate { secret: Some(tls.secret_name.clone()) }),
        overrides: wanted.annotations.clone(),
    })
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
    use crate::controller::fixtures;

    fn told(spec: &str) -> Vec<String> {
        let stream = fixtures::wanted(fixtures::yaml(spec)).stream;
        let address = IngressLoadBalancerIngress { ip: Some("192.0.2.1".into()), ..Default::default() };
        let load_balancer = Some(IngressLoadBalancerStatus { ingress: Some(vec![address]) });
        let ingress = Ingress { status: Some(IngressStatus { load_balancer }), ..Default::default() };
        assert!(ways(&stream, Some(&Ingress::default())).is_empty(), "it has no address yet");
        ways(&stream, Some(&ingress)).iter().map(ToString::to_string).collect()
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
