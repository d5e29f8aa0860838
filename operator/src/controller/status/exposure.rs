//! What `Exposed` says: each way in by itself, and all of them together. Every message names the field.

use k8s_openapi::api::core::v1::Service;
use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value;
use ssefleet_crds::{
    exposure::{self, Controller, Implementation, ServiceType},
    names,
};

use crate::{
    controller::{
        Wanted,
        children::{
            Applied, Children,
            exposure::{EdgeChildren, Keeps},
        },
        conditions::Verdict,
    },
    optional::Kind,
};

/// One way in.
struct Way {
    /// Below `spec`.
    field: &'static str,
    verdict: Verdict,
    /// Without the path.
    url: Option<String>,
}

impl Way {
    fn open(field: &'static str, reason: &'static str, message: impl Into<String>, url: Option<String>) -> Self {
        Self { field, verdict: Verdict::yes(reason, message), url }
    }

    fn closed(field: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { field, verdict: Verdict::no(reason, message), url: None }
    }
}

/// Whether the stream can be reached from outside in every way that was asked for, and the first address of all: of
/// Ingress, Gateway, edge and Service, in this order.
pub(super) fn exposed(
    wanted: &Wanted,
    applied: &Children<Applied>,
    gateway: Option<&DynamicObject>,
) -> (Verdict, Option<String>) {
    let (spec, children) = (&wanted.stream.exposure, &applied.exposure);
    let mut ways = Vec::new();
    if let (Some(spec), Some(ingress)) = (&spec.ingress, &children.ingress) {
        let status = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let first = status.and_then(|balancer| balancer.ingress.as_ref()).and_then(|addresses| addresses.first());
        let address = first.and_then(|first| first.hostname.clone().or_else(|| first.ip.clone()));
        ways.push(by_ingress(wanted, spec, &ingress.name_any(), address));
    }
    if let Some(spec) = &spec.gateway {
        ways.push(by_gateway(wanted, spec, applied, gateway));
    }
    if let (Some(spec), Some(edge)) = (&spec.edge, &children.edge) {
        ways.push(by_edge(wanted, spec, edge));
    }
    if let (Some(spec), Some(service)) = (&spec.service, &children.service) {
        ways.push(by_service(wanted, spec, service));
    }
    let url = ways.iter().find_map(|way| way.url.clone());
    (together(&ways), url)
}

fn together(ways: &[Way]) -> Verdict {
    let said = |way: &Way| format!("exposure.{}: {}", way.field, way.verdict.message);
    match ways {
        [] => Verdict::no("NotRequested", "Reachable inside the cluster only; spec.exposure opens it"),
        ways => match (ways.iter().find(|way| !way.verdict.holds), ways) {
            (Some(closed), _) => Verdict::no(closed.verdict.reason, said(closed)),
            (None, [only]) => Verdict::yes(only.verdict.reason, said(only)),
            (None, all) => Verdict::yes("AllOpen", all.iter().map(said).collect::<Vec<_>>().join(". ")),
        },
    }
}

fn by_ingress(wanted: &Wanted, spec: &exposure::Ingress, name: &str, address: Option<String>) -> Way {
    const FIELD: &str = "ingress";
    let Some(address) = address else {
        let class = spec.class_name.as_deref().unwrap_or("the default");
        let message = format!(
            "Ingress {name} has no address yet. If this lasts, see that a controller serves its class ({class}; kubectl get ingressclass) and publishes its address"
        );
        return Way::closed(FIELD, "NoAddress", message);
    };
    let host = spec.host.clone().filter(|host| !host.starts_with('*')).unwrap_or(address);
    let scheme = if spec.tls.is_some() { "https" } else { "http" };
    let streams = match spec.controller {
        Controller::IngressNginx | Controller::NginxInc => "buffering is off and silence is allowed for a day",
        Controller::Traefik => {
            "Traefik streams by itself as long as its entry point keeps respondingTimeouts.writeTimeout at 0, the default"
        }
        Controller::HAProxy => "HAProxy streams by itself, and silence is allowed for a day",
        Controller::Contour => "Contour streams by itself, and a stream has no deadline",
    };
    let keeps = keeps(Keeps::ingress(wanted, spec.controller));
    let url = url(scheme, &host, None);
    Way::open(FIELD, "IngressReady", format!("The Ingress has an address; {streams}; {keeps}"), Some(url))
}

/// What becomes of browsers while no node answers.
fn keeps(keeps: Keeps) -> String {
    const ENDS: &str = "its own 502, 503 and 504 end a browser's EventSource for good";
    match keeps {
        Keeps::ByEdge => "while no node answers, the edge keeps browsers".into(),
        Keeps::ByController => "while no node answers, browsers get a retry stream".into(),
        Keeps::OwnOriginOnly => {
            "while no node answers, browsers get a retry stream, but pages of other origins may not read it, which ends their EventSource for good: cors.allowedOrigins is longer than Envoy Gateway takes. Shorten it, for example by https://*.example.com, or set exposure.edge to lead through it".into()
        }
        Keeps::WithoutMiddleware => {
            format!("but {ENDS}, as {}, or set exposure.edge to lead through it", Kind::Middleware.missing())
        }
        Keeps::Nothing => format!("but {ENDS}, which it can't be told otherwise: set exposure.edge to lead through it"),
    }
}

fn by_gateway(
    wanted: &Wanted,
    spec: &exposure::Gateway,
    applied: &Children<Applied>,
    gateway: Option<&DynamicObject>,
) -> Way {
    const FIELD: &str = "gateway";
    let child = |kind: Kind| applied.exposure.optional.iter().find(|child| child.kind == kind);
    let policy = match spec.implementation {
        Implementation::EnvoyGateway => Some(Kind::BackendTrafficPolicy),
        Implementation::NginxGatewayFabric => Some(Kind::ProxySettingsPolicy),
        Implementation::Standard | Implementation::Traefik | Implementation::Istio => None,
    };
    for kind in [Some(Kind::HttpRoute), policy].into_iter().flatten() {
        if child(kind).is_none() {
            return Way::closed(FIELD, "KindMissing", kind.missing());
        }
    }
    let parents =
        child(Kind::HttpRoute).map(|route| route.object.data["status"]["parents"].clone()).unwrap_or_default();
    for parent in &spec.parent_refs {
        if let Err(why) = taken(wanted, parent, &parents) {
            return Way::closed(FIELD, "RouteNotAccepted", why);
        }
    }
    if let Some(refused) = policy.and_then(child).and_then(|policy| refused(&policy.object)) {
        return Way::closed(FIELD, "PolicyNotAccepted", format!("{}: {refused}", policy.map_or("", Kind::name)));
    }
    let Some(endpoint) = Endpoint::of(spec, gateway) else {
        let gateway = spec.parent_refs.first().map_or("", |parent| &parent.name);
        let message = format!(
            "Gateway {gateway} has no address yet, or may not be read. If this lasts: kubectl describe gateway {gateway}, or set exposure.gateway.hostnames"
        );
        return Way::closed(FIELD, "NoAddress", message);
    };
    let url = url(if endpoint.tls { "https" } else { "http" }, &endpoint.host, endpoint.port);
    let keeps = keeps(Keeps::gateway(wanted, spec.implementation));
    Way::open(
        FIELD,
        "RouteAccepted",
        format!("The Gateway has taken the route, which has no deadline; {keeps}"),
        Some(url),
    )
}

/// Whether a Gateway has taken the route, by what its controller says.
fn taken(wanted: &Wanted, parent: &exposure::ParentRef, parents: &Value) -> Result<(), String> {
    let namespace = parent.namespace.as_deref().unwrap_or(&wanted.stream.namespace);
    let name = &parent.name;
    let is_this = |reference: &Value| {
        reference["name"] == **name
            && reference["namespace"].as_str().is_none_or(|said| said == namespace)
            && reference["sectionName"].as_str() == parent.section_name.as_deref()
            && reference["port"].as_i64() == parent.port.map(i64::from)
    };
    let mut told = parents.as_array().into_iter().flatten().filter(|parent| is_this(&parent["parentRef"])).peekable();
    if told.peek().is_none() {
        return Err(format!(
            "Gateway {name} has not taken the route yet. If this lasts, see that it is there, that a controller serves its class, and that allowedRoutes of its listeners let this namespace in: kubectl -n {namespace} describe gateway {name}"
        ));
    }
    let told: Vec<_> = told.collect();
    for type_ in ["Accepted", "ResolvedRefs"] {
        let found = told.iter().flat_map(|parent| parent["conditions"].as_array().into_iter().flatten());
        let found: Vec<_> = found.filter(|condition| condition["type"] == type_).collect();
        if found.is_empty() || found.iter().any(|condition| condition["status"] != "True") {
            let why =
                found.iter().find(|c| c["status"] != "True").and_then(|c| c["message"].as_str()).unwrap_or("nothing");
            return Err(format!("Gateway {name} says of the route's {type_}: {why}"));
        }
    }
    Ok(())
}

/// What a controller has against a policy.
fn refused(policy: &DynamicObject) -> Option<String> {
    let ancestors = policy.data["status"]["ancestors"].as_array()?;
    let conditions = ancestors.iter().flat_map(|ancestor| ancestor["conditions"].as_array().into_iter().flatten());
    let refused = conditions.into_iter().find(|c| c["type"] == "Accepted" && c["status"] == "False")?;
    Some(refused["message"].as_str().unwrap_or("not accepted").to_owned())
}

/// Where a Gateway lets a route in.
pub(super) struct Endpoint {
    pub tls: bool,
    /// A name, or else the address; never a wildcard.
    pub host: String,
    pub address: Option<String>,
    pub port: Option<i32>,
}

impl Endpoint {
    /// By the listener that the route names, or the first.
    pub fn of(spec: &exposure::Gateway, gateway: Option<&DynamicObject>) -> Option<Self> {
        let parent = spec.parent_refs.first();
        let data = gateway.map(|gateway| &gateway.data);
        let listeners = data.and_then(|data| data["spec"]["listeners"].as_array());
        let is_named = |listener: &&Value| {
            parent.is_none_or(|parent| {
                parent.section_name.as_ref().is_none_or(|section| listener["name"] == **section)
                    && parent.port.is_none_or(|port| listener["port"] == port)
            })
        };
        let listener = listeners.and_then(|listeners| listeners.iter().find(is_named));
        let is_name = |host: &&str| !host.starts_with('*');
        let named = spec.hostnames.iter().map(String::as_str).find(is_name);
        let own = listener.and_then(|listener| listener["hostname"].as_str()).filter(is_name);
        let address = data.and_then(|data| data["status"]["addresses"][0]["value"].as_str());
        Some(Self {
            tls: listener.is_some_and(|listener| listener["protocol"] == "HTTPS"),
            host: named.or(own).or(address)?.to_owned(),
            address: address.map(str::to_owned),
            port: listener.and_then(|listener| i32::try_from(listener["port"].as_i64()?).ok()),
        })
    }
}

fn by_edge(wanted: &Wanted, spec: &exposure::Edge, edge: &EdgeChildren) -> Way {
    const FIELD: &str = "edge";
    let ready = edge.deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    if ready == 0 {
        let (name, namespace) = (edge.deployment.name_any(), &wanted.stream.namespace);
        let message = format!(
            "0 of {} are ready. If this lasts: kubectl -n {namespace} describe deployment {name}, and its pods",
            spec.replicas
        );
        return Way::closed(FIELD, "EdgeNotReady", message);
    }
    let scheme = if spec.tls.is_some() { "https" } else { "http" };
    let sentence = "The edge passes events on as they come; while no node answers, browsers get a retry stream";
    match address("exposure.edge.service", &spec.service, &edge.service) {
        Err(why) => Way::closed(FIELD, "NoAddress", why),
        Ok(address) => {
            let host = spec.host.clone().or(address);
            let url = host.map(|host| url(scheme, &host, port(&edge.service)));
            Way::open(FIELD, "EdgeReady", sentence, url)
        }
    }
}

fn by_service(wanted: &Wanted, spec: &exposure::Service, service: &Service) -> Way {
    const FIELD: &str = "service";
    match address("exposure.service", spec, service) {
        Err(why) => Way::closed(FIELD, "NoAddress", why),
        Ok(address) => {
            let sentence = format!(
                "Service {} leads to the nodes; while none is ready, connections fail, which browsers survive",
                names::public(&wanted.stream.name)
            );
            Way::open(FIELD, "ServiceReady", sentence, address.map(|host| url("http", &host, port(service))))
        }
    }
}

/// Where a Service is reached; none for a port of every host.
fn address(field: &str, spec: &exposure::Service, service: &Service) -> Result<Option<String>, String> {
    let name = service.name_any();
    match spec.type_ {
        ServiceType::NodePort => Ok(None),
        ServiceType::ClusterIP => Ok(Some(format!("{name}.{}.svc", service.namespace().unwrap_or_default()))),
        ServiceType::LoadBalancer => {
            given(service).map(Some).ok_or_else(|| {
                format!(
                    "Service {name} has no address yet. If this lasts, nothing in this cluster gives out addresses: install a load balancer, or set {field}.type to NodePort or ClusterIP"
                )
            })
        }
    }
}

/// The address that a load balancer has given it.
pub(super) fn given(service: &Service) -> Option<String> {
    let first = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
    first.hostname.clone().or_else(|| first.ip.clone())
}

/// What it listens on.
pub(super) fn port(service: &Service) -> Option<i32> {
    service.spec.as_ref()?.ports.as_ref()?.first().map(|port| port.port)
}

fn url(scheme: &str, host: &str, port: Option<i32>) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    }
}
