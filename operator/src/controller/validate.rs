//! Turns a stream and what was observed into [`Wanted`], which has no invalid state: the builders only read it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use ssefleet_crds::{
    SseStream, Stream,
    autoscaling::AutoscalingMode,
    broker::SecretKey,
    names,
    validated::{Broker, Invalid, ManagedRedis},
};

use super::{
    blocked::Blocked,
    credential::{self, Credential},
    manifest::{Manifest, manifest},
    resolve::Observed,
};
use crate::{autoscale::scalers::Scale, optional::Present, settings::Settings};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the stream is not valid: {0}")]
    Invalid(#[from] Invalid),
    #[error("the nodes' manifest can't be written: {0}")]
    Manifest(String),
}

impl Error {
    pub fn metric_label(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_spec",
            Self::Manifest(_) => "manifest",
        }
    }

    pub(super) fn blocked(&self) -> Blocked {
        let message = match self {
            Self::Invalid(invalid) => format!("{invalid}. Correct the stream; until then its fleet stays as it is."),
            Self::Manifest(_) => format!("{self}. This is a mistake in the operator: please report it."),
        };
        Blocked { reason: "InvalidSpec", message, broker: false }
    }
}

/// All that the children of one stream are made from.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub stream: Stream,
    /// What makes the children go with the stream; `None` for a stream that is in no cluster.
    pub owner: Option<OwnerReference>,
    pub manifest: Manifest,
    /// The keys of Secrets that the nodes read.
    pub secrets: Vec<SecretKey>,
    /// The managed Redis, if there is to be one.
    pub redis: Option<Redis>,
    /// What publishers show, if the stream does not say.
    pub publish_token: Option<Credential>,
    /// What the operator shows at the nodes' admin ports.
    pub admin_token: Option<Credential>,
    /// The optional kinds that the cluster has.
    pub kinds: Present,
    pub settings: Settings,
}

/// A Redis that the operator runs for the stream.
#[derive(Clone, Debug)]
pub struct Redis {
    pub spec: ManagedRedis,
    pub password: Credential,
}

pub fn validate(object: &SseStream, observed: &Observed, settings: &Settings) -> Result<Wanted, Error> {
    let mut stream = Stream::try_from(object)?;
    stream.replicas = replicas(&stream, observed.scale.as_ref());
    let manifest = manifest(object, &stream, observed.secrets.as_deref(), observed.manifest.as_deref())
        .map_err(|error| Error::Manifest(error.to_string()))?;
    let redis = match (&stream.broker, &observed.password) {
        (Broker::ManagedRedis(spec), Some(password)) => Some(Redis { spec: spec.clone(), password: password.clone() }),
        _ => None,
    };
    Ok(Wanted {
        owner: object
            .controller_owner_ref(&())
            .map(|owner| OwnerReference { block_owner_deletion: Some(true), ..owner }),
        manifest,
        secrets: secrets(&stream),
        redis,
        publish_token: observed.publish_token.clone().filter(|_| stream.auth.publish.is_none()),
        admin_token: observed.admin_token.clone(),
        kinds: observed.kinds.clone(),
        settings: settings.clone(),
        stream,
    })
}

/// In mode Operator autoscaling says how many nodes there are, and begins with what the stream says; else that counts.
fn replicas(stream: &Stream, scale: Option<&Scale>) -> i32 {
    match (&stream.autoscaling, scale) {
        (Some(scaling), None) if scaling.mode == AutoscalingMode::Operator => scaling.bounded(stream.replicas),
        (_, Some(scale)) => scale.status.desired_replicas,
        (_, None) => stream.replicas,
    }
}

/// In order and each once, so that what is built is the same each time.
fn secrets(stream: &Stream) -> Vec<SecretKey> {
    let mut secrets: Vec<SecretKey> = stream.auth.secrets().cloned().collect();
    if stream.auth.publish.is_none() {
        secrets.push(names::publish_token(&stream.name));
    }
    secrets.push(names::admin_token(&stream.name));
    match &stream.broker {
        Broker::Memory => {}
        Broker::ManagedRedis(_) => secrets.push(credential::password(&stream.name)),
        Broker::ExternalRedis(redis) => secrets.extend(redis.secrets().cloned()),
    }
    secrets.sort();
    secrets.dedup();
    secrets
}
