//! Writes children by server-side apply: one field manager, forced, and only when something differs.
//!
//! What «differs» means: after an apply, the server's answer is remembered as a fingerprint, together with what was
//! sent. As long as the watched object and the wanted one give that fingerprint, nothing is written. The comparison is
//! between two of the server's own forms, so that defaults and normalised quantities («0.5» becomes «500m») cannot
//! look like drift; and as it covers all of `spec` and `data`, a field that someone added counts too, in lists and
//! maps that the server holds as one value. Of the metadata, only what we set is looked at: others write there as well.
//! The price: the first reconcile after a start applies each child once, which changes nothing on the server.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    marker::PhantomData,
    sync::Arc,
};

use k8s_openapi::{
    Resource as KubernetesKind, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    runtime::reflector::ObjectRef,
};
use serde_json::Value;
use ssefleet_crds::SseStream;

use super::{
    Context,
    blocked::{Blocked, refusal},
    children::{
        Applied, Built, Children, ExposureChildren, OptionalChild, RedisChildren,
        exposure::{EdgeChildren, RetryChildren},
    },
    events,
};
use crate::{NAME, slim::content, watch::Child};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't {verb} {kind} {name}: {source}")]
    Api { verb: &'static str, kind: &'static str, name: String, source: Box<kube::Error> },
    #[error("{kind} {name} is there already and belongs to {owner}")]
    Taken { kind: &'static str, name: String, owner: String },
    #[error("{kind} {name} is left from an earlier stream of this name and about to go")]
    Leftover { kind: &'static str, name: String },
    #[error("{kind} can't be written as JSON: {source}")]
    Json { kind: &'static str, source: serde_json::Error },
}

impl Error {
    pub fn metric_label(&self) -> &'static str {
        match self {
            Self::Api { source, .. } if refusal(source).is_some() => "apply_refused",
            Self::Api { .. } => "apply",
            Self::Taken { .. } => "name_taken",
            Self::Leftover { .. } => "leftover",
            Self::Json { .. } => "json",
        }
    }

    pub(super) fn blocked(&self) -> Option<Blocked> {
        let (reason, message) = match self {
            Self::Api { verb, kind, name, source } => {
                let told = refusal(source)?;
                ("ApplyRefused", format!("The API server refused to {verb} {kind} {name}: {told}"))
            }
            Self::Taken { kind, name, owner } => (
                "NameTaken",
                format!(
                    "{kind} {name} is there already and belongs to {owner}; it is left alone. Delete or rename it, or give the stream another name."
                ),
            ),
            Self::Leftover { .. } | Self::Json { .. } => return None,
        };
        Some(Blocked { reason, message, broker: false })
    }
}

/// Brings every child to the server, in the order in which they need each other.
pub(super) async fn apply(
    built: Children<Built>,
    stream: &SseStream,
    cx: &Context,
) -> Result<Children<Applied>, Error> {
    let service_account = child(built.service_account, stream, cx).await?;
    let config = child(built.config, stream, cx).await?;
    let (publish_token, admin_token) = (built.publish_token, built.admin_token);
    if let Some(secret) = &publish_token {
        create(secret, cx).await?;
        events::token_created(stream, &secret.name_any(), "publishers", cx).await;
    }
    if let Some(secret) = &admin_token {
        create(secret, cx).await?;
        events::token_created(stream, &secret.name_any(), "the nodes' admin ports", cx).await;
    }
    let redis = match built.redis {
        None => None,
        Some(redis) => Some(Box::pin(apply_redis(redis, stream, cx)).await?),
    };
    Ok(Children {
        service_account,
        config,
        publish_token,
        admin_token,
        redis,
        service: child(built.service, stream, cx).await?,
        publish_service: child(built.publish_service, stream, cx).await?,
        deployment: child(built.deployment, stream, cx).await?,
        disruption_budget: maybe(built.disruption_budget, stream, cx).await?,
        horizontal_pod_autoscaler: maybe(built.horizontal_pod_autoscaler, stream, cx).await?,
        scaled_object: match built.scaled_object {
            None => None,
            Some(wanted) => Some(Box::pin(optional(wanted, stream, cx)).await?),
        },
        network_policy: maybe(built.network_policy, stream, cx).await?,
        exposure: Box::pin(apply_exposure(built.exposure, stream, cx)).await?,
        state: PhantomData,
    })
}

async fn apply_redis(redis: RedisChildren, stream: &SseStream, cx: &Context) -> Result<RedisChildren, Error> {
    if let Some(secret) = &redis.password {
        create(secret, cx).await?;
        events::password_created(stream, &secret.name_any(), cx).await;
    }
    Ok(RedisChildren {
        password: redis.password,
        config: child(redis.config, stream, cx).await?,
        service: child(redis.service, stream, cx).await?,
        // Before the pods that it is for.
        network_policy: maybe(redis.network_policy, stream, cx).await?,
        disruption_budget: child(redis.disruption_budget, stream, cx).await?,
        stateful_set: child(redis.stateful_set, stream, cx).await?,
    })
}

/// What is led to comes before what leads there.
async fn apply_exposure(built: ExposureChildren, stream: &SseStream, cx: &Context) -> Result<ExposureChildren, Error> {
    let retry = match built.retry {
        None => None,
        Some(retry) => Some(RetryChildren {
            service: child(retry.service, stream, cx).await?,
            deployment: child(retry.deployment, stream, cx).await?,
        }),
    };
    let edge = match built.edge {
        None => None,
        Some(edge) => Some(EdgeChildren {
            config: child(edge.config, stream, cx).await?,
            service: child(edge.service, stream, cx).await?,
            deployment: child(edge.deployment, stream, cx).await?,
            disruption_budget: maybe(edge.disruption_budget, stream, cx).await?,
        }),
    };
    let service = maybe(built.service, stream, cx).await?;
    let mut applied = Vec::new();
    for wanted in built.optional {
        applied.push(optional(wanted, stream, cx).await?);
    }
    let ingress = maybe(built.ingress, stream, cx).await?;
    Ok(ExposureChildren { ingress, edge, service, retry, optional: applied })
}

/// Created, never applied: a credential that is there stays, whoever made it.
async fn create(secret: &Secret, cx: &Context) -> Result<(), Error> {
    cx.metrics.write("Secret", "create");
    let api = Api::namespaced(cx.client.clone(), &namespace(secret));
    let params = PostParams { field_manager: Some(NAME.into()), ..Default::default() };
    api.create(&params, secret).await.map_err(|source| failed("create", secret, source))?;
    Ok(())
}

async fn maybe<K: Child>(wanted: Option<K>, stream: &SseStream, cx: &Context) -> Result<Option<K>, Error> {
    match wanted {
        None => Ok(None),
        Some(wanted) => Ok(Some(child(wanted, stream, cx).await?)),
    }
}

/// One child, as the server has it now.
async fn child<K: Child>(wanted: K, stream: &SseStream, cx: &Context) -> Result<K, Error> {
    let (kind, name) = (K::KIND, wanted.name_any());
    let json = |object: &K| serde_json::to_value(object).map_err(|source| Error::Json { kind, source });
    let api = Api::<K>::namespaced(cx.client.clone(), &namespace(&wanted));
    let sent = json(&wanted)?;
    // The store holds what carries our label; anything else by this name is someone else's, and must not be taken over.
    let live = match K::store(&cx.stores).get(&ObjectRef::from_obj(&wanted)) {
        Some(live) => Some(live),
        None => api.get_opt(&name).await.map_err(|source| failed("get", &wanted, source))?.map(Arc::new),
    };
    if let Some(live) = &live {
        ours(kind, live.as_ref(), stream)?;
        if cx.memory.settled(stream, kind, &name, fingerprint(&sent, &json(live)?)) {
            return Ok((**live).clone());
        }
    }
    tracing::info!(namespace = stream.metadata.namespace, stream = stream.metadata.name, kind, name, "applying");
    cx.metrics.write(kind, "apply");
    let answer = match api.patch(&name, &PatchParams::apply(NAME).force(), &Patch::Apply(&wanted)).await {
        // Someone changed what identifies an entry of a list, a Service's port say: the server keeps theirs beside
        // ours, and finds that the two do not agree. A merge patch replaces the list as a whole.
        Err(kube::Error::Api(refused)) if refused.code == 422 && live.is_some() => {
            cx.metrics.write(kind, "patch");
            let params = PatchParams { field_manager: Some(NAME.into()), ..Default::default() };
            api.patch(&name, &params, &Patch::Merge(&sent)).await
        }
        answer => answer,
    };
    let answer = answer.map_err(|source| failed("apply", &wanted, source))?;
    cx.memory.applied(stream, kind, &name, fingerprint(&sent, &json(&answer)?));
    Ok(answer)
}

/// One child of a kind that not every cluster has, the same way.
async fn optional(wanted: OptionalChild, stream: &SseStream, cx: &Context) -> Result<OptionalChild, Error> {
    let OptionalChild { kind, object: wanted } = wanted;
    let (label, name, namespace) = (kind.name(), wanted.name_any(), namespace(&wanted));
    let json = |object: &DynamicObject| {
        serde_json::to_value(object).map_err(|source| Error::Json { kind: kind.name(), source })
    };
    let failed =
        |verb, source: kube::Error| Error::Api { verb, kind: label, name: name.clone(), source: source.into() };
    let api = kind.api(&cx.client, &namespace);
    let sent = json(&wanted)?;
    let live = match cx.stores.optional.get(kind, &namespace, &name) {
        Some(live) => Some(live),
        None => api.get_opt(&name).await.map_err(|source| failed("get", source))?.map(Arc::new),
    };
    if let Some(live) = &live {
        ours(label, live.as_ref(), stream)?;
        if cx.memory.settled(stream, label, &name, fingerprint(&sent, &json(live)?)) {
            return Ok(OptionalChild { kind, object: (**live).clone() });
        }
    }
    tracing::info!(namespace, stream = stream.metadata.name, kind = label, name, "applying");
    cx.metrics.write(label, "apply");
    let answer = api.patch(&name, &PatchParams::apply(NAME).force(), &Patch::Apply(&wanted)).await;
    let mut answer = answer.map_err(|source| failed("apply", source))?;
    answer.managed_fields_mut().clear();
    cx.memory.applied(stream, label, &name, fingerprint(&sent, &json(&answer)?));
    Ok(OptionalChild { kind, object: answer })
}

fn namespace<K: Resource>(object: &K) -> String {
    object.namespace().unwrap_or_else(|| "default".into())
}

fn failed<K: Resource + KubernetesKind>(verb: &'static str, object: &K, source: kube::Error) -> Error {
    Error::Api { verb, kind: K::KIND, name: object.name_any(), source: source.into() }
}

/// Whoever else controls an object with the name of a child keeps it.
fn ours<K: Resource>(kind: &'static str, live: &K, stream: &SseStream) -> Result<(), Error> {
    let name = live.name_any();
    match controller(live) {
        Some(owner) if Some(&owner.uid) == stream.metadata.uid.as_ref() => Ok(()),
        Some(_) if is_leftover(live, stream) => Err(Error::Leftover { kind, name }),
        Some(owner) => Err(Error::Taken { kind, name, owner: format!("{} {}", owner.kind, owner.name) }),
        None => Err(Error::Taken { kind, name, owner: "no one that is known here".into() }),
    }
}

/// Whether it belongs to an earlier stream of the same name, with which it will go.
pub(super) fn is_leftover<K: Resource>(object: &K, stream: &SseStream) -> bool {
    controller(object).is_some_and(|owner| {
        owner.kind == "SseStream"
            && Some(&owner.name) == stream.metadata.name.as_ref()
            && Some(&owner.uid) != stream.metadata.uid.as_ref()
    })
}

pub(super) fn controller<K: Resource>(object: &K) -> Option<&OwnerReference> {
    object.owner_references().iter().find(|owner| owner.controller == Some(true))
}

/// A number for «this was sent, and the object looks like that».
fn fingerprint(sent: &Value, live: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    sent.to_string().hash(&mut hasher);
    content(live).hash(&mut hasher);
    let metadata = &live["metadata"];
    metadata["ownerReferences"].to_string().hash(&mut hasher);
    for key in sent["metadata"]["annotations"].as_object().into_iter().flatten().map(|(key, _)| key) {
        (key, metadata["annotations"][key].as_str()).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent() -> Value {
        json!({
            "metadata": {"name": "quotes", "labels": {"app.kubernetes.io/name": "x"}},
            "spec": {"cpu": "0.5", "selector": {"app": "x"}},
        })
    }

    /// What the server makes of it: defaults, normalised quantities, bookkeeping.
    fn live() -> Value {
        json!({
            "metadata": {"name": "quotes", "labels": {"app.kubernetes.io/name": "x"}, "generation": 1, "resourceVersion": "1"},
            "spec": {"cpu": "500m", "selector": {"app": "x"}, "clusterIP": "10.0.0.1"},
            "status": {"replicas": 1},
        })
    }

    fn differs(change: impl FnOnce(&mut Value)) -> bool {
        let mut changed = live();
        change(&mut changed);
        fingerprint(&sent(), &live()) != fingerprint(&sent(), &changed)
    }

    #[test]
    fn a_steady_child_is_left_alone() {
        assert!(!differs(|_| {}));
        assert!(!differs(|live| live["status"]["replicas"] = 2.into()));
        assert!(!differs(|live| live["metadata"]["resourceVersion"] = "2".into()));
        assert!(!differs(|live| live["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "2"})));
    }

    #[test]
    fn every_drift_is_seen() {
        assert!(differs(|live| live["spec"]["cpu"] = "600m".into()), "a changed value");
        assert!(differs(|live| live["spec"]["selector"]["more"] = "y".into()), "an added field");
        assert!(differs(|live| live["metadata"]["labels"]["app.kubernetes.io/name"] = "y".into()), "a changed label");
        assert!(differs(|live| live["metadata"]["labels"] = json!({})), "a removed label");
        assert!(differs(|live| live["metadata"]["ownerReferences"] = json!([])), "another owner");
    }

    #[test]
    fn a_changed_wish_is_seen() {
        let mut other = sent();
        other["spec"]["cpu"] = "1".into();
        assert_ne!(fingerprint(&sent(), &live()), fingerprint(&other, &live()));
    }

    #[test]
    fn what_belongs_to_others_is_not_taken_over() {
        use crate::controller::fixtures;
        let stream = fixtures::stream(fixtures::yaml("{}"));
        let owned_by = |kind: &str, name: &str, uid: &str| {
            let mut service = k8s_openapi::api::core::v1::Service::default();
            service.metadata.owner_references = Some(vec![OwnerReference {
                kind: kind.into(),
                name: name.into(),
                uid: uid.into(),
                controller: Some(true),
                ..Default::default()
            }]);
            ours("Service", &service, &stream)
        };
        assert!(owned_by("SseStream", "quotes", "5e1f").is_ok());
        assert!(matches!(owned_by("SseStream", "quotes", "01d"), Err(Error::Leftover { .. })));
        assert!(matches!(owned_by("SseStream", "other", "1"), Err(Error::Taken { .. })));
        let unowned = k8s_openapi::api::core::v1::Service::default();
        assert_eq!(ours("Service", &unowned, &stream).unwrap_err().blocked().unwrap().reason, "NameTaken");
    }
}
