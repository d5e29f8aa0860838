//! Exposed, by each way in; and kinds that a cluster lacks.

use k8s_openapi::api::{
    apps::v1::{DeploymentStatus, StatefulSetStatus},
    core::v1::{LoadBalancerIngress, LoadBalancerStatus, ServiceStatus},
    networking::v1::{IngressLoadBalancerIngress, IngressLoadBalancerStatus, IngressStatus},
};
use ssefleet_crds::validated::Cors;

use super::*;
use crate::{controller::children::OptionalChild, optional::Kind};

/// A stream with these ways in, whose nodes are well.
fn exposed_by(exposure: &str) -> World {
    let mut world = world(fixtures::wanted(fixtures::yaml(&format!("exposure: {exposure}"))));
    world.nodes(2, 2, "NewReplicaSetAvailable");
    let redis = world.children.redis.as_mut().unwrap();
    redis.stateful_set.status = Some(StatefulSetStatus { ready_replicas: Some(1), ..Default::default() });
    world
}

impl World {
    fn exposed(&self) -> (String, String, Option<String>) {
        let status = self.status();
        let exposed = get(&status.conditions, EXPOSED).unwrap();
        (format!("{} {}", exposed.status, exposed.reason), exposed.message.clone(), status.url)
    }

    fn route(&mut self) -> &mut kube::api::DynamicObject {
        let route = |child: &&mut OptionalChild| child.kind == Kind::HttpRoute;
        &mut self.children.exposure.optional.iter_mut().find(route).unwrap().object
    }
}

const GATEWAY: &str = "{gateway: {parentRefs: [{name: web, namespace: infra, sectionName: https}], hostnames: ['*.example.com'], implementation: EnvoyGateway}}";

#[test]
fn a_route_is_open_once_the_gateway_has_taken_it_and_has_an_address() {
    let mut world = exposed_by(GATEWAY);
    let (told, message, _) = world.exposed();
    assert_eq!(told, "False RouteNotAccepted");
    assert!(message.contains("kubectl -n infra describe gateway web"), "{message}");

    let parents = |accepted: &str| {
        let reference = json!({"name": "web", "namespace": "infra", "sectionName": "https"});
        let conditions = json!([
            {"type": "Accepted", "status": accepted, "message": "no listener lets it in"},
            {"type": "ResolvedRefs", "status": "True"},
        ]);
        json!({"parents": [{"parentRef": reference, "conditions": conditions}]})
    };
    world.route().data["status"] = parents("False");
    assert!(world.exposed().1.contains("no listener lets it in"), "{:?}", world.exposed());
    world.route().data["status"] = parents("True");
    assert_eq!(world.exposed().0, "False NoAddress");

    let mut gateway = kube::api::DynamicObject::new("web", &Kind::HttpRoute.resource());
    gateway.data = json!({
        "spec": {"listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}, {"name": "https", "port": 8443, "protocol": "HTTPS"}]},
        "status": {"addresses": [{"value": "192.0.2.7"}]},
    });
    world.observed.gateway = Some(gateway);
    let (told, message, url) = world.exposed();
    assert_eq!((told.as_str(), url.as_deref()), ("True RouteAccepted", Some("https://192.0.2.7:8443/events")));
    assert!(message.ends_with("while no node answers, browsers get a retry stream"), "{message}");

    let allowed_origins = (0..200).map(|app| format!("https://app-{app}.example.com")).collect();
    world.wanted.stream.cors = Some(Cors { allowed_origins, allow_credentials: false, max_age: Duration::ZERO });
    let message = world.exposed().1;
    assert!(
        message.contains("cors.allowedOrigins is longer than") && message.contains("set exposure.edge"),
        "{message}"
    );
}

#[test]
fn a_kind_that_the_cluster_does_not_have_is_told_with_its_remedy() {
    let mut world = exposed_by(GATEWAY);
    world.children.exposure.optional.retain(|child| child.kind == Kind::HttpRoute);
    let (told, message, _) = world.exposed();
    assert_eq!(told, "False KindMissing");
    assert!(
        message.contains("backendtrafficpolicies.gateway.envoyproxy.io") && message.contains("Install"),
        "{message}"
    );
    world.children.exposure.optional.clear();
    assert!(world.exposed().1.contains("httproutes.gateway.networking.k8s.io"), "{:?}", world.exposed());
}

#[test]
fn what_ends_browsers_is_told_with_its_remedy() {
    let address = || {
        let address = IngressLoadBalancerIngress { ip: Some("2001:db8::1".into()), ..Default::default() };
        Some(IngressStatus { load_balancer: Some(IngressLoadBalancerStatus { ingress: Some(vec![address]) }) })
    };
    let mut world = exposed_by("{ingress: {controller: HAProxy}}");
    world.children.exposure.ingress.as_mut().unwrap().status = address();
    let (told, message, url) = world.exposed();
    assert_eq!((told.as_str(), url.as_deref()), ("True IngressReady", Some("http://[2001:db8::1]/events")));
    assert!(message.contains("end a browser's EventSource") && message.contains("set exposure.edge"), "{message}");

    let mut world = exposed_by("{ingress: {controller: Traefik}}");
    world.children.exposure.ingress.as_mut().unwrap().status = address();
    assert!(world.exposed().1.contains("browsers get a retry stream"));
    world.wanted.kinds.clear();
    let message = world.exposed().1;
    assert!(message.contains("no Middleware") && message.contains("set exposure.edge"), "{message}");
}

#[test]
fn every_way_must_be_open_and_the_first_address_is_the_url() {
    let mut world = exposed_by("{edge: {service: {type: NodePort}}, service: {port: 8080}}");
    let (told, message, _) = world.exposed();
    assert_eq!(told, "False EdgeNotReady");
    assert!(message.starts_with("exposure.edge: ") && message.contains("describe deployment quotes-edge"), "{message}");
    let ready = DeploymentStatus { ready_replicas: Some(1), ..Default::default() };
    world.children.exposure.edge.as_mut().unwrap().deployment.status = Some(ready);
    let (told, message, url) = world.exposed();
    assert_eq!((told.as_str(), url.as_deref()), ("False NoAddress", Some("http://quotes.market.svc/events")));
    assert!(message.starts_with("exposure.service: ") && message.contains("exposure.service.type"), "{message}");
    let address = LoadBalancerIngress { hostname: Some("lb.example.com".into()), ..Default::default() };
    world.children.exposure.service.as_mut().unwrap().status = Some(ServiceStatus {
        load_balancer: Some(LoadBalancerStatus { ingress: Some(vec![address]) }),
        ..Default::default()
    });
    let (told, _, url) = world.exposed();
    assert_eq!((told.as_str(), url.as_deref()), ("True AllOpen", Some("http://lb.example.com:8080/events")));
}

#[test]
fn keda_that_is_not_there_is_told_and_nothing_is_made_for_it() {
    let spec = "autoscaling: {mode: Keda, keda: {prometheusAddress: 'http://prometheus:9090'}}";
    let told = |kinds: &[Kind]| {
        let mut wanted = fixtures::wanted(fixtures::yaml(spec));
        wanted.kinds = kinds.iter().copied().collect();
        let world = world(wanted);
        let status = world.status();
        let told = get(&status.conditions, AUTOSCALING).unwrap();
        (world.children.scaled_object.is_some(), told.reason.clone(), told.message.clone())
    };
    let (made, reason, message) = told(&[]);
    assert_eq!((made, reason.as_str()), (false, "KindMissing"));
    assert!(message.contains("scaledobjects.keda.sh") && message.contains("Install KEDA"), "{message}");
    assert_eq!((told(&[Kind::ScaledObject]).0, told(&[Kind::ScaledObject]).1.as_str()), (true, "ScaledObjectApplied"));
}
