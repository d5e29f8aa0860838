//! Whoever edits or deletes a child by hand finds it as the stream says, a moment later.

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Service},
        networking::v1::Ingress,
    },
};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use ssefleet_tests::{
    Must, cluster,
    cluster::Object,
    manifest,
    stream::{REACTION, Stream},
    wait,
};

#[tokio::test]
async fn a_hand_edited_child_is_repaired_and_a_deleted_one_is_made_again() {
    let cluster = cluster().await;
    let here = cluster.namespace("repair").await;
    let exposed = json!({"exposure": {"ingress": {"controller": "Traefik"}}});
    let stream = here.apply(manifest::with(manifest::memory(), &exposed)).await;
    stream.ready().await;

    repaired::<Deployment>(&stream, "/spec/replicas", json!(4)).await;
    repaired::<Service>(&stream, "/spec/ports/0/port", json!(8000)).await;
    repaired::<Ingress>(&stream, "/spec/rules/0/http/paths/0/path", json!("/elsewhere")).await;

    made_again::<Deployment>(&stream).await;
    made_again::<ConfigMap>(&stream).await;
    made_again::<Service>(&stream).await;
    made_again::<Ingress>(&stream).await;
    stream.ready().await;
}

/// Sets what is at `pointer` in the child of the stream's own name, and waits until it is what it was.
async fn repaired<K: Object + Resource<Scope = NamespaceResourceScope>>(stream: &Stream, pointer: &str, to: Value) {
    let at = |object: &K| serde_json::to_value(object).ok().and_then(|value| value.pointer(pointer).cloned());
    let api = stream.api::<K>();
    let before = at(&api.get(&stream.name).await.must("read the child"));
    assert_ne!(before.as_ref(), Some(&to));
    let patch = json!([{"op": "replace", "path": pointer, "value": to}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).must("write a patch"));
    let edited = api.patch(&stream.name, &PatchParams::default(), &patch).await.must("edit the child");
    let what = format!("{pointer} of the {} is what it was", K::kind(&()));
    let repaired = |object: Option<&K>| {
        object.is_some_and(|object| object.resource_version() != edited.resource_version() && at(object) == before)
    };
    wait::until(&api, &stream.name, &what, REACTION, repaired).await;
}

/// Deletes the child of the stream's own name, and waits until there is another.
async fn made_again<K: Object + Resource<Scope = NamespaceResourceScope>>(stream: &Stream) {
    let api = stream.api::<K>();
    let uid = api.get(&stream.name).await.must("read the child").uid();
    api.delete(&stream.name, &DeleteParams::default()).await.must("delete the child");
    let what = format!("there is a new {}", K::kind(&()));
    wait::until(&api, &stream.name, &what, REACTION, |object| object.is_some_and(|object| object.uid() != uid)).await;
}
