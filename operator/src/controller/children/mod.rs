//! What a stream is made of: one file for each child, each a pure function from [`Wanted`] to an object, with its
//! golden YAML in `snapshots/` beside it.

mod admin_token;
mod autoscaler;
mod config;
mod deployment;
mod disruption_budget;
pub mod exposure;
mod network_policy;
mod pod;
mod publish_token;
mod redis;
mod service;
mod service_account;

use std::marker::PhantomData;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use serde_json::Value;
use ssefleet_crds::names::{self, Component};

pub use self::config::FILE as MANIFEST;
pub(super) use self::config::present;
pub use self::{
    autoscaler::METRIC,
    exposure::{ExposureChildren, OptionalChild},
    redis::RedisChildren,
};
use super::validate::Wanted;

/// The annotation of a pod that changes with what it reads only at its start.
pub(super) const CONFIG: &str = "ssefleet.dev/config";

/// Made from the stream, not yet sent.
#[derive(Clone, Copy, Debug)]
pub struct Built;

/// As the server answered: the only form that a status may be computed from.
#[derive(Clone, Copy, Debug)]
pub struct Applied;

/// The children of one stream.
#[derive(Clone, Debug)]
pub struct Children<State> {
    pub service_account: ServiceAccount,
    pub config: ConfigMap,
    /// Only when there is none yet.
    pub publish_token: Option<Secret>,
    /// Only when there is none yet.
    pub admin_token: Option<Secret>,
    pub redis: Option<RedisChildren>,
    pub service: Service,
    pub publish_service: Service,
    pub deployment: Deployment,
    pub disruption_budget: Option<PodDisruptionBudget>,
    pub horizontal_pod_autoscaler: Option<HorizontalPodAutoscaler>,
    /// Of KEDA.
    pub scaled_object: Option<OptionalChild>,
    pub network_policy: Option<NetworkPolicy>,
    pub exposure: ExposureChildren,
    pub state: PhantomData<State>,
}

pub fn build(wanted: &Wanted) -> Children<Built> {
    Children {
        service_account: service_account::service_account(wanted),
        config: config::config(wanted),
        publish_token: publish_token::publish_token(wanted),
        admin_token: admin_token::admin_token(wanted),
        redis: wanted.redis.as_ref().map(|redis| redis::redis(wanted, redis)),
        service: service::public(wanted),
        publish_service: service::publish(wanted),
        deployment: deployment::deployment(wanted),
        disruption_budget: disruption_budget::disruption_budget(wanted),
        horizontal_pod_autoscaler: autoscaler::hpa(wanted),
        scaled_object: autoscaler::scaled_object(wanted),
        network_policy: network_policy::network_policy(wanted),
        exposure: exposure::exposure(wanted),
        state: PhantomData,
    }
}

impl Children<Built> {
    /// Each child as a document, in the order in which they are applied.
    pub fn documents(&self) -> Result<Vec<Value>, serde_json::Error> {
        let mut documents = vec![serde_json::to_value(&self.service_account)?, serde_json::to_value(&self.config)?];
        documents.extend(self.publish_token.as_ref().map(serde_json::to_value).transpose()?);
        documents.extend(self.admin_token.as_ref().map(serde_json::to_value).transpose()?);
        if let Some(redis) = &self.redis {
            documents.extend(redis.password.as_ref().map(serde_json::to_value).transpose()?);
            documents.push(serde_json::to_value(&redis.config)?);
            documents.push(serde_json::to_value(&redis.service)?);
            documents.extend(redis.network_policy.as_ref().map(serde_json::to_value).transpose()?);
            documents.push(serde_json::to_value(&redis.disruption_budget)?);
            documents.push(serde_json::to_value(&redis.stateful_set)?);
        }
        documents.push(serde_json::to_value(&self.service)?);
        documents.push(serde_json::to_value(&self.publish_service)?);
        documents.push(serde_json::to_value(&self.deployment)?);
        documents.extend(self.disruption_budget.as_ref().map(serde_json::to_value).transpose()?);
        documents.extend(self.horizontal_pod_autoscaler.as_ref().map(serde_json::to_value).transpose()?);
        documents.extend(self.scaled_object.as_ref().map(|child| serde_json::to_value(&child.object)).transpose()?);
        documents.extend(self.network_policy.as_ref().map(serde_json::to_value).transpose()?);
        documents.extend(self.exposure.documents()?);
        Ok(documents)
    }
}

/// The metadata that every child has.
fn metadata(wanted: &Wanted, name: String, component: Component) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(wanted.stream.namespace.clone()),
        labels: Some(names::labels(&wanted.stream.name, component)),
        owner_references: wanted.owner.clone().map(|owner| vec![owner]),
        ..Default::default()
    }
}

/// A Secret of the operator's own making.
fn secret<const N: usize>(wanted: &Wanted, name: String, component: Component, data: [(&str, String); N]) -> Secret {
    Secret {
        metadata: metadata(wanted, name, component),
        type_: Some("Opaque".into()),
        string_data: Some(data.map(|(key, value)| (key.to_owned(), value)).into()),
        ..Default::default()
    }
}

fn selector(wanted: &Wanted, component: Component) -> LabelSelector {
    LabelSelector { match_labels: Some(names::selector(&wanted.stream.name, component)), ..Default::default() }
}

/// An object as a reviewer reads it.
#[cfg(test)]
fn golden(object: &impl serde::Serialize) -> String {
    serde_saphyr::to_string(object).unwrap()
}
