//! The chart, installed once for all tests of a run.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::{cluster::Access, helm::helm, must::Must};

/// The release's name, and the name of its Deployment.
pub const NAME: &str = "ssefleet";
pub const NAMESPACE: &str = "ssefleet-system";

/// Holds the failure too, so that every test after the first says at once why it cannot run.
static INSTALLED: OnceCell<Result<(), String>> = OnceCell::const_new();

/// Installs or upgrades the release if no test of this run has done so yet.
pub(crate) async fn installed(access: &Access) {
    let outcome = INSTALLED.get_or_init(|| async {
        let namespaces: Api<Namespace> = Api::all(access.client.clone());
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        }});
        namespaces
            .patch(NAMESPACE, &PatchParams::apply("e2e").force(), &Patch::Apply(&namespace))
            .await
            .map_err(|cause| format!("namespace {NAMESPACE}: {cause}"))?;
        upgrade(access).await
    });
    outcome.await.as_ref().must("install the chart");
}

/// `helm upgrade --install`; returns when the operators are ready.
pub async fn upgrade(access: &Access) -> Result<(), String> {
    let mut arguments: Vec<String> =
        ["upgrade", "--install", NAME, "charts/ssefleet", "--namespace", NAMESPACE, "--wait", "--timeout", "3m"]
            .map(str::to_owned)
            .into();
    if let Some(values) = &access.settings.values {
        arguments.extend(["--values".to_owned(), values.display().to_string()]);
    }
    run(arguments).await.map(drop)
}

/// `helm uninstall`; returns when what it deletes is gone.
pub async fn uninstall() -> Result<(), String> {
    run(["uninstall", NAME, "--namespace", NAMESPACE, "--wait", "--timeout", "3m"].map(str::to_owned).into())
        .await
        .map(drop)
}

/// Helm takes long, so it runs beside the test's own tasks.
async fn run(arguments: Vec<String>) -> Result<String, String> {
    tokio::task::spawn_blocking(|| helm(arguments)).await.map_err(|cause| cause.to_string())?
}
