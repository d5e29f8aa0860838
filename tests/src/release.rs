//! The chart, installed once for all tests of a run.

use std::{fs::File, path::Path};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::{
    cluster::Access,
    helm::{chart, helm, repository},
    must::Must,
};

/// The release's name, and the name of its Deployment.
pub const NAME: &str = "ssefleet";
pub const NAMESPACE: &str = "ssefleet-system";

/// Holds the failure too, so that every test after the first says at once why it cannot run.
static INSTALLED: OnceCell<Result<(), String>> = OnceCell::const_new();

/// Installs or upgrades the release if no test of this run has done so yet.
pub(crate) async fn installed(access: &Access) {
    let outcome = INSTALLED.get_or_init(|| async {
        only_run().await?;
        let namespaces: Api<Namespace> = Api::all(access.client.clone());
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        }});
        namespaces
            .patch(NAMESPACE, &PatchParams::apply("e2e").force(), &Patch::Apply(&namespace))
            .await
            .map_err(|cause| format!("namespace {NAMESPACE}: {cause}"))?;
        upgrade(access, &chart()).await
    });
    outcome.await.as_ref().must("install the chart");
}

/// Waits until no other run of the tests is under way in this tree, as two would disturb each other; from then on, this
/// is the one, until its process ends.
async fn only_run() -> Result<(), String> {
    let path = repository().join("target/e2e.lock");
    // Not there where cargo's own folder is another.
    std::fs::create_dir_all(repository().join("target")).map_err(|cause| format!("the folder target: {cause}"))?;
    let lock = File::create(&path).map_err(|cause| format!("{}: {cause}", path.display()))?;
    if lock.try_lock().is_err() {
        eprintln!("waiting for another run of these tests");
    }
    let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
    let lock = locked.map_err(|cause| cause.to_string())?.map_err(|cause| format!("{}: {cause}", path.display()))?;
    std::mem::forget(lock); // never unlocked by this process
    Ok(())
}

/// `helm upgrade --install` from the chart in this folder; returns when the operators are ready.
pub async fn upgrade(access: &Access, chart: &Path) -> Result<(), String> {
    upgrade_with(access, chart, &[]).await
}

/// The same, with more values, as `--set` takes them.
pub async fn upgrade_with(access: &Access, chart: &Path, values: &[&str]) -> Result<(), String> {
    let values = values.iter().flat_map(|value| ["--set", value]);
    install(access, chart, &["--wait", "--timeout", "3m"].into_iter().chain(values).collect::<Vec<_>>()).await
}

/// The same of an older chart, which need not know all of the values, nor give today's operator all its rights: so
/// nothing is waited for.
pub async fn install_older(access: &Access, chart: &Path) -> Result<(), String> {
    install(access, chart, &["--skip-schema-validation"]).await
}

async fn install(access: &Access, chart: &Path, flags: &[&str]) -> Result<(), String> {
    let chart = chart.display().to_string();
    let mut arguments: Vec<String> =
        ["upgrade", "--install", NAME, &chart, "--namespace", NAMESPACE].map(str::to_owned).into();
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
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
