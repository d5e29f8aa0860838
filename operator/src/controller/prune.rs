//! Deletes children that the stream no longer asks for: those of its own, by the uid of their owner, whose name is
//! not among what was applied.

use std::{fmt::Debug, sync::Arc};

use k8s_openapi::{NamespaceResourceScope, Resource as KubernetesKind, api::core::v1::Secret};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Preconditions, PropagationPolicy},
};
use serde::de::DeserializeOwned;
use ssefleet_crds::{SseStream, names};

use super::{
    Context,
    apply::controller,
    children::{Applied, Children, OptionalChild},
    credential::Purpose,
    validate::Wanted,
};
use crate::{optional::Kind, watch::Child};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't {verb} {kind} {name}: {source}")]
    Api { verb: &'static str, kind: &'static str, name: String, source: kube::Error },
}

impl Error {
    pub fn metric_label(&self) -> &'static str {
        match self {
            Self::Api { .. } => "prune",
        }
    }
}

pub(super) async fn prune(
    stream: &SseStream,
    wanted: &Wanted,
    applied: &Children<Applied>,
    cx: &Context,
) -> Result<(), Error> {
    let redis = applied.redis.as_ref();
    let exposure = &applied.exposure;
    let (edge, retry) = (exposure.edge.as_ref(), exposure.retry.as_ref());
    // What leads somewhere goes before what it leads to.
    of_kind(&exposure.ingress, stream, cx).await?;
    optional(exposure.optional.iter().chain(&applied.scaled_object), stream, cx).await?;
    let policies = applied.network_policy.iter().chain(redis.and_then(|redis| redis.network_policy.as_ref()));
    of_kind(policies, stream, cx).await?;
    let edge_budget = edge.and_then(|edge| edge.disruption_budget.as_ref());
    let redis_budget = redis.map(|redis| &redis.disruption_budget);
    of_kind(applied.disruption_budget.iter().chain(edge_budget).chain(redis_budget), stream, cx).await?;
    let more = edge.map(|edge| &edge.deployment).into_iter().chain(retry.map(|retry| &retry.deployment));
    of_kind([&applied.deployment].into_iter().chain(more), stream, cx).await?;
    of_kind(&applied.horizontal_pod_autoscaler, stream, cx).await?;
    let stateful_sets = unwanted(redis.map(|redis| &redis.stateful_set), stream, cx);
    if !stateful_sets.is_empty() {
        // Secrets are not watched: the password goes just before the Redis that it was for.
        credential(Purpose::RedisPassword, stream, cx).await?;
    }
    for stateful_set in stateful_sets {
        remove(stateful_set.as_ref(), cx).await?;
    }
    // And the token, when the stream says what publishers show instead, unless it says just that.
    let token = names::publish(&stream.name_any());
    if wanted.publish_token.is_none() && wanted.secrets.iter().all(|secret| secret.name != token) {
        credential(Purpose::PublishToken, stream, cx).await?;
    }
    let services = [&applied.service, &applied.publish_service];
    let of_exposure = edge.map(|edge| &edge.service).into_iter().chain(retry.map(|retry| &retry.service));
    let of_exposure = of_exposure.chain(&exposure.service);
    of_kind(services.into_iter().chain(redis.map(|redis| &redis.service)).chain(of_exposure), stream, cx).await?;
    let configs = redis.map(|redis| &redis.config).into_iter().chain(edge.map(|edge| &edge.config));
    of_kind([&applied.config].into_iter().chain(configs), stream, cx).await
}

/// Of the kinds that not every cluster has.
async fn optional<'a>(
    applied: impl Iterator<Item = &'a OptionalChild> + Clone,
    stream: &SseStream,
    cx: &Context,
) -> Result<(), Error> {
    for kind in Kind::ALL {
        let wanted: Vec<_> = applied.clone().filter(|child| child.kind == kind).map(OptionalChild::name).collect();
        for object in cx.stores.optional.filter(kind, |object| is_unwanted(object, stream, &wanted)) {
            let api = kind.api(&cx.client, &object.namespace().unwrap_or_default());
            delete(&api, kind.name(), object.as_ref(), cx).await?;
        }
    }
    Ok(())
}

async fn of_kind<'a, K: Child>(
    wanted: impl IntoIterator<Item = &'a K>,
    stream: &SseStream,
    cx: &Context,
) -> Result<(), Error> {
    for object in unwanted(wanted, stream, cx) {
        remove(object.as_ref(), cx).await?;
    }
    Ok(())
}

fn unwanted<'a, K: Child>(wanted: impl IntoIterator<Item = &'a K>, stream: &SseStream, cx: &Context) -> Vec<Arc<K>> {
    let wanted: Vec<String> = wanted.into_iter().map(ResourceExt::name_any).collect();
    K::store(&cx.stores).state_filter(|object| is_unwanted(object, stream, &wanted))
}

fn is_unwanted<K: Resource>(object: &K, stream: &SseStream, wanted: &[String]) -> bool {
    object.meta().namespace == stream.metadata.namespace
        && object.meta().deletion_timestamp.is_none()
        && controller(object).is_some_and(|owner| Some(&owner.uid) == stream.metadata.uid.as_ref())
        && !wanted.contains(&object.name_any())
}

async fn credential(purpose: Purpose, stream: &SseStream, cx: &Context) -> Result<(), Error> {
    let name = purpose.secret(&stream.name_any());
    let api = Api::<Secret>::namespaced(cx.client.clone(), &stream.namespace().unwrap_or_default());
    let found = api.get_opt(&name).await;
    match found.map_err(|source| Error::Api { verb: "get", kind: "Secret", name, source })? {
        Some(secret) if is_unwanted(&secret, stream, &[]) => remove(&secret, cx).await,
        _ => Ok(()), // one that the user made stays
    }
}

/// Deletes exactly the object that was seen; that it is gone already is as good.
async fn remove<K>(object: &K, cx: &Context) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + KubernetesKind + Clone + Debug + DeserializeOwned,
{
    let api = Api::<K>::namespaced(cx.client.clone(), &object.namespace().unwrap_or_default());
    delete(&api, K::KIND, object, cx).await
}

async fn delete<K>(api: &Api<K>, kind: &'static str, object: &K, cx: &Context) -> Result<(), Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let name = object.name_any();
    tracing::info!(namespace = object.namespace(), kind, name, "pruning");
    cx.metrics.write(kind, "delete");
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions { uid: object.uid(), resource_version: None }),
        ..Default::default()
    };
    match api.delete(&name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(source) => Err(Error::Api { verb: "delete", kind, name, source }),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use k8s_openapi::api::networking::v1::Ingress;

    use super::*;
    use crate::controller::fixtures;

    #[test]
    fn only_what_is_ours_and_no_longer_wanted_goes() {
        let stream = fixtures::stream(fixtures::yaml("{}"));
        let ingress = |uid: &str, namespace: &str| {
            let mut ingress = Ingress::default();
            ingress.metadata.name = Some("quotes".into());
            ingress.metadata.namespace = Some(namespace.into());
            ingress.metadata.owner_references =
                Some(vec![OwnerReference { uid: uid.into(), controller: Some(true), ..Default::default() }]);
            ingress
        };
        assert!(is_unwanted(&ingress("5e1f", "market"), &stream, &[]));
        assert!(!is_unwanted(&ingress("5e1f", "market"), &stream, &["quotes".into()]), "wanted");
        assert!(!is_unwanted(&ingress("07e4", "market"), &stream, &[]), "another stream's");
        assert!(!is_unwanted(&ingress("5e1f", "other"), &stream, &[]), "in another namespace");
        assert!(!is_unwanted(&Ingress::default(), &stream, &[]), "no one's");
    }
}
