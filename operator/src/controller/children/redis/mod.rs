//! The managed Redis: one server, or a primary with replicas and a Sentinel beside each. They have a password of their
//! own, a Service, and scripts that do in the pods what needs no operator: `scripts/`.

mod config;
mod containers;
mod disruption_budget;
mod network_policy;
mod password;
mod pod;
mod service;
mod stateful_set;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Secret, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};

use crate::controller::{Wanted, validate::Redis};

/// The port of the Service and of the container.
const PORT: i32 = 6379;
/// Where a Sentinel listens.
const SENTINEL_PORT: i32 = 26379;
/// Where the files of the ConfigMap and the password lie: in one projected volume, as a volume can't be mounted inside a
/// read-only one.
const FILES: &str = "/etc/redis";
/// The file with the password, below [`FILES`].
const AUTH: &str = "auth/password";
/// What the containers of a pod tell each other, in memory: it holds the password.
const RUN: &str = "/run/redis";
/// The memory limit of a Redis whose stream says nothing.
const MEMORY_LIMIT: &str = "512Mi";

/// The children that make the managed Redis.
#[derive(Clone, Debug)]
pub struct RedisChildren {
    /// Only when there is none yet.
    pub password: Option<Secret>,
    pub config: ConfigMap,
    pub service: Service,
    pub network_policy: Option<NetworkPolicy>,
    pub disruption_budget: PodDisruptionBudget,
    pub stateful_set: StatefulSet,
}

pub fn redis(wanted: &Wanted, redis: &Redis) -> RedisChildren {
    RedisChildren {
        password: password::password(wanted, redis),
        config: config::config(wanted, redis),
        service: service::service(wanted, redis),
        network_policy: network_policy::network_policy(wanted, redis),
        disruption_budget: disruption_budget::disruption_budget(wanted),
        stateful_set: stateful_set::stateful_set(wanted, redis),
    }
}
