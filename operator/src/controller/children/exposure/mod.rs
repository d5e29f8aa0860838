//! The ways in from outside. Each builder makes one; [`Front`] says what all of them lead to.

mod edge;
mod envoy;
mod gateway;
mod ingress;
mod policies;
mod retry;
mod service;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service},
    networking::v1::Ingress,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    ResourceExt,
    api::{DynamicObject, ObjectMeta},
};
use serde_json::Value;
use ssefleet_crds::{
    exposure::{Controller, Implementation},
    names::{self, Component},
};

use super::metadata;
use crate::{controller::Wanted, optional::Kind};

/// The children that `spec.exposure` asks for.
#[derive(Clone, Debug, Default)]
pub struct ExposureChildren {
    pub ingress: Option<Ingress>,
    pub edge: Option<EdgeChildren>,
    pub service: Option<Service>,
    pub retry: Option<RetryChildren>,
    /// Of kinds that the cluster has, in the order in which they need each other.
    pub optional: Vec<OptionalChild>,
}

/// Our own nginx.
#[derive(Clone, Debug)]
pub struct EdgeChildren {
    pub config: ConfigMap,
    pub service: Service,
    pub deployment: Deployment,
    pub disruption_budget: Option<PodDisruptionBudget>,
}

/// What answers browsers while no node does.
#[derive(Clone, Debug)]
pub struct RetryChildren {
    pub service: Service,
    pub deployment: Deployment,
}

/// A child of a kind that not every cluster has.
#[derive(Clone, Debug)]
pub struct OptionalChild {
    pub kind: Kind,
    pub object: DynamicObject,
}

pub fn exposure(wanted: &Wanted) -> ExposureChildren {
    let exposure = &wanted.stream.exposure;
    ExposureChildren {
        ingress: exposure.ingress.as_ref().map(|ingress| ingress::ingress(wanted, ingress)),
        edge: exposure.edge.as_ref().map(|edge| edge::edge(wanted, edge)),
        service: exposure.service.as_ref().map(|service| service::service(wanted, service)),
        retry: needs_retry(wanted).then(|| retry::retry(wanted)),
        optional: optional(wanted),
    }
}

fn optional(wanted: &Wanted) -> Vec<OptionalChild> {
    let mut children = Vec::new();
    if wants_middleware(wanted) {
        children.push(policies::middleware(wanted));
    }
    if let Some(gateway) = &wanted.stream.exposure.gateway {
        children.push(gateway::route(wanted, gateway));
        children.extend(policies::of_route(wanted, gateway));
    }
    children.retain(|child| wanted.kinds.contains(&child.kind));
    children
}

/// The Service that Ingress and HTTPRoute lead to: the edge, if there is one, else the nodes' own.
pub(super) struct Front {
    pub name: String,
    pub port: i32,
}

impl Front {
    fn of(wanted: &Wanted) -> Self {
        let stream = &wanted.stream;
        match &stream.exposure.edge {
            Some(edge) => Self { name: names::edge(&stream.name), port: edge::port(edge) },
            None => Self { name: names::node(&stream.name), port: super::service::NUMBER },
        }
    }
}

/// What keeps browsers of one way in while no node answers: a status other than 200 would end them for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// The edge, to which the way leads.
    ByEdge,
    /// The controller, by sending them to what answers a retry stream, or by answering it itself.
    ByController,
    /// Envoy, but not those of pages of other origins: `cors.allowedOrigins` is longer than it can be told.
    OwnOriginOnly,
    /// Nothing, as the Middleware that would is of a kind that this cluster does not have.
    WithoutMiddleware,
    /// Nothing: this controller cannot.
    Nothing,
}

impl Keeps {
    pub fn ingress(wanted: &Wanted, controller: Controller) -> Self {
        match controller {
            _ if wanted.stream.exposure.edge.is_some() => Self::ByEdge,
            Controller::IngressNginx => Self::ByController,
            Controller::Traefik => Self::by_middleware(wanted),
            // nginx.org has it behind snippets, which are off by default; HAProxy for the whole controller only; Contour
            // not at all for an Ingress.
            Controller::NginxInc | Controller::HAProxy | Controller::Contour => Self::Nothing,
        }
    }

    pub fn gateway(wanted: &Wanted, implementation: Implementation) -> Self {
        match implementation {
            _ if wanted.stream.exposure.edge.is_some() => Self::ByEdge,
            Implementation::EnvoyGateway if !envoy::tells_all_origins(&wanted.stream) => Self::OwnOriginOnly,
            Implementation::EnvoyGateway => Self::ByController,
            Implementation::Traefik => Self::by_middleware(wanted),
            Implementation::Standard | Implementation::NginxGatewayFabric | Implementation::Istio => Self::Nothing,
        }
    }

    fn by_middleware(wanted: &Wanted) -> Self {
        if wanted.kinds.contains(&Kind::Middleware) { Self::ByController } else { Self::WithoutMiddleware }
    }
}

/// Whether a Middleware is to lead Traefik to the retry streams.
fn wants_middleware(wanted: &Wanted) -> bool {
    let exposure = &wanted.stream.exposure;
    let ingress = exposure.ingress.as_ref().is_some_and(|ingress| ingress.controller == Controller::Traefik);
    let gateway = exposure.gateway.as_ref().is_some_and(|g| g.implementation == Implementation::Traefik);
    exposure.edge.is_none() && (ingress || gateway)
}

/// Whether some controller needs a Service that answers retry streams: the edge does so by itself.
fn needs_retry(wanted: &Wanted) -> bool {
    let exposure = &wanted.stream.exposure;
    let annotated = exposure.ingress.as_ref().is_some_and(|ingress| ingress.controller == Controller::IngressNginx);
    exposure.edge.is_none() && (annotated || wants_middleware(wanted) && wanted.kinds.contains(&Kind::Middleware))
}

/// An object of an optional kind.
pub(super) fn dynamic(wanted: &Wanted, kind: Kind, name: String, component: Component, spec: &Value) -> OptionalChild {
    let ObjectMeta { namespace, labels, owner_references, .. } = metadata(wanted, name.clone(), component);
    let mut object = DynamicObject::new(&name, &kind.resource()).data(serde_json::json!({"spec": spec}));
    object.metadata = ObjectMeta { name: Some(name), namespace, labels, owner_references, ..Default::default() };
    OptionalChild { kind, object }
}

impl ExposureChildren {
    /// Each child as a document, in the order in which they are applied.
    pub(super) fn documents(&self) -> Result<Vec<Value>, serde_json::Error> {
        let mut documents = Vec::new();
        if let Some(retry) = &self.retry {
            documents.extend([serde_json::to_value(&retry.service)?, serde_json::to_value(&retry.deployment)?]);
        }
        if let Some(edge) = &self.edge {
            documents.push(serde_json::to_value(&edge.config)?);
            documents.push(serde_json::to_value(&edge.service)?);
            documents.push(serde_json::to_value(&edge.deployment)?);
            documents.extend(edge.disruption_budget.as_ref().map(serde_json::to_value).transpose()?);
        }
        documents.extend(self.service.as_ref().map(serde_json::to_value).transpose()?);
        for child in &self.optional {
            documents.push(serde_json::to_value(&child.object)?);
        }
        documents.extend(self.ingress.as_ref().map(serde_json::to_value).transpose()?);
        Ok(documents)
    }
}

impl OptionalChild {
    pub fn name(&self) -> String {
        self.object.name_any()
    }
}
