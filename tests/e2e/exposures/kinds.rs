//! Kinds that come and go: a stream says what is missing, and takes it up when it is there, without a restart.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};
use ssefleet_tests::{
    Must, cluster, manifest,
    stream::{REACTION, Stream, condition, is},
    wait,
};
use tokio::time::{Instant, sleep};

const CRD: &str = "proxysettingspolicies.gateway.nginx.org";
/// The operator looks twice a minute.
const NOTICED: Duration = Duration::from_mins(1);

/// As NGINX Gateway Fabric brings it, but for its schema.
fn policies() -> CustomResourceDefinition {
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = json!({"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": any}});
    let names = json!({"kind": "ProxySettingsPolicy", "listKind": "ProxySettingsPolicyList", "plural": "proxysettingspolicies", "singular": "proxysettingspolicy"});
    let crd = json!({
        "metadata": {"name": CRD},
        "spec": {"group": "gateway.nginx.org", "scope": "Namespaced", "names": names, "versions": [version]},
    });
    serde_json::from_value(crd).must("write a CRD")
}

fn of(stream: &Stream, api_version: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').must("split a version");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(stream.access.client.clone(), &stream.namespace, &resource)
}

#[tokio::test]
async fn a_kind_that_comes_later_is_taken_up_and_one_that_goes_is_told() {
    let cluster = cluster().await;
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.access.client.clone());
    let here = cluster.namespace("kinds").await;
    let gateway =
        json!({"parentRefs": [{"name": "web", "namespace": "infra"}], "implementation": "NginxGatewayFabric"});
    let stream = here.apply(manifest::with(manifest::memory(), &json!({"exposure": {"gateway": gateway}}))).await;
    let lacks = |stream: &ssefleet_crds::SseStream| {
        condition(stream, "Exposed")
            .is_some_and(|exposed| exposed.reason == "KindMissing" && exposed.message.contains(CRD))
    };
    stream.until("it says which kind is missing", REACTION, lacks).await;

    crds.create(&kube::api::PostParams::default(), &policies()).await.must("create the CRD");
    stream.until("the new kind is taken up", NOTICED, |stream| is(stream, "Exposed", "True")).await;
    let policy = of(&stream, "gateway.nginx.org/v1alpha1", "ProxySettingsPolicy").get(&stream.name).await;
    assert_eq!(policy.must("read the policy").data["spec"]["buffering"]["disable"], true);

    crds.delete(CRD, &DeleteParams::default()).await.must("delete the CRD");
    wait::until_gone(&crds, CRD, REACTION).await;
    stream.until("it says that the kind is gone", NOTICED, lacks).await;
}

#[tokio::test]
async fn a_route_is_repaired_and_goes_when_it_is_not_wanted() {
    let cluster = cluster().await;
    let here = cluster.namespace("route").await;
    let gateway = json!({"parentRefs": [{"name": "web", "namespace": "infra"}], "implementation": "Traefik"});
    let stream = here.apply(manifest::with(manifest::memory(), &json!({"exposure": {"gateway": gateway}}))).await;
    let ready = stream.ready().await;
    let url = ready.status.and_then(|status| status.url);
    assert_eq!(url.as_deref(), Some(&*format!("http://{}/events", stream.host)));
    stream.subscribe().await;

    let routes = of(&stream, "gateway.networking.k8s.io/v1", "HTTPRoute");
    let edit = json!({"spec": {"rules": [{"backendRefs": [{"name": "nobody", "port": 80}]}]}});
    routes.patch(&stream.name, &PatchParams::default(), &Patch::Merge(&edit)).await.must("edit the route");
    until(&routes, &stream.name, "the route is as it was", |route| {
        route.is_some_and(|route| route["spec"]["rules"][0]["timeouts"]["request"] == "0s")
    })
    .await;

    let middlewares = of(&stream, "traefik.io/v1alpha1", "Middleware");
    stream.edit_spec(json!({"exposure": null})).await;
    until(&routes, &stream.name, "the route is gone", |route| route.is_none()).await;
    until(&middlewares, "ticker-retry", "the middleware is gone", |middleware| middleware.is_none()).await;
}

async fn until(api: &Api<DynamicObject>, name: &str, what: &str, met: impl Fn(Option<&Value>) -> bool) {
    let begun = Instant::now();
    loop {
        let found = api.get_opt(name).await.must(format_args!("read {name}"));
        if met(found.as_ref().map(|object| &object.data)) {
            return;
        }
        assert!(begun.elapsed() < REACTION, "waited {REACTION:?} in vain until {what}: {found:?}");
        sleep(Duration::from_millis(200)).await;
    }
}
