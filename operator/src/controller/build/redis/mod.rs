//! The managed Redis: one server with an append-only file, a password of its own, and a Service.

mod config;
mod password;
mod service;
mod stateful_set;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Secret, Service},
};

use crate::controller::{Wanted, validate::Redis};

/// The port of the Service and of the container.
const PORT: i32 = 6379;
/// Where redis.conf and auth.conf lie: in one projected volume, as a volume can't be mounted inside a read-only one.
const FILES: &str = "/etc/redis";
/// The file with the password, below [`FILES`].
const AUTH: &str = "auth/auth.conf";
/// The memory limit of a Redis whose stream says nothing.
const MEMORY_LIMIT: &str = "512Mi";

/// The children that make the managed Redis.
#[derive(Clone, Debug)]
pub struct RedisChildren {
    /// Only when there is none yet.
    pub password: Option<Secret>,
    pub config: ConfigMap,
    pub service: Service,
    pub stateful_set: StatefulSet,
}

pub fn redis(wanted: &Wanted, redis: &Redis) -> RedisChildren {
    RedisChildren {
        password: password::password(wanted, redis),
        config: config::config(wanted, redis),
        service: service::service(wanted),
        stateful_set: stateful_set::stateful_set(wanted, redis),
    }
}
