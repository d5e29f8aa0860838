//! A stream that is deleted leaves nothing.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::ListParams;
use ssefleet_tests::{cluster, manifest, stream::STARTUP, wait};

#[tokio::test]
async fn deleting_a_stream_removes_every_child_and_its_volume() {
    let cluster = cluster().await;
    let here = cluster.namespace("deletion").await;
    let stream = here.apply(manifest::quickstart()).await;
    stream.ready().await;
    let children: Vec<String> = stream.children().await.into_iter().map(|child| child.id).collect();
    for expected in [
        "Deployment/quotes",
        "Service/quotes",
        "Service/quotes-publish",
        "ConfigMap/quotes",
        "ServiceAccount/quotes",
        "PodDisruptionBudget/quotes",
        "Ingress/quotes",
        "StatefulSet/quotes-redis",
        "Service/quotes-redis",
        "Secret/quotes-redis",
        "NetworkPolicy/quotes-redis",
        "PodDisruptionBudget/quotes-redis",
        "Secret/quotes-publish",
        "Secret/quotes-admin",
    ] {
        assert!(children.iter().any(|child| child == expected), "{expected} is not among {children:?}");
    }

    stream.delete().await;
    let volumes = stream.api::<PersistentVolumeClaim>();
    wait::until_list(&volumes, ListParams::default(), "no volume claim is left", STARTUP, <[_]>::is_empty).await;
    for component in [ssefleet_crds::names::Component::Node, ssefleet_crds::names::Component::Redis] {
        let pods = stream.api::<k8s_openapi::api::core::v1::Pod>();
        wait::until_list(&pods, stream.selected(component), "no pod is left", STARTUP, <[_]>::is_empty).await;
    }
    // The pods go after what owns them, and everything else has the same owner.
    let left = stream.children().await;
    assert!(left.is_empty(), "{left:?}");
}
