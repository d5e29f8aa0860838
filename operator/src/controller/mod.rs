//! The whole story of a reconcile: resolve → validate → build → apply → prune → status. Only the ends talk to the API
//! server; `build` is pure, and its output is kept as golden YAML beside it.
//!
//! The rights it needs, in every namespace that it watches:
//! - ssefleet.dev ssestreams: list, watch; ssestreams/status: patch; ssestreams/finalizers: update (clusters that run
//!   the admission plugin `OwnerReferencesPermissionEnforcement` ask for it)
//! - serviceaccounts, configmaps, services, apps deployments and statefulsets, policy poddisruptionbudgets,
//!   networking.k8s.io ingresses and networkpolicies, and the kinds of `optional::Kind`: get, list, watch, create, patch,
//!   delete
//! - gateway.networking.k8s.io gateways: get
//! - pods: list, watch; patch (an annotation that prompts the kubelet, and a mark on those that are to go)
//! - autoscaling horizontalpodautoscalers: as those above
//! - secrets: get, create, delete (never list or watch); the probes read the admin token's and the certificates'
//! - events.k8s.io events: create, patch
//!
//! In its own namespace: coordination.k8s.io leases: create; get, patch of `sse-operator`.

mod apply;
mod backoff;
mod blocked;
pub mod children;
pub(crate) mod conditions;
pub(crate) mod context;
mod credential;
mod error;
pub(crate) mod events;
#[cfg(test)]
pub(crate) mod fixtures;
mod manifest;
mod memory;
pub(crate) mod paused;
mod prune;
mod resolve;
pub(crate) mod scale_in;
mod status;
mod validate;
mod words;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use kube::{
    core::DynamicObject,
    runtime::{
        controller::{self, Action},
        events::{Recorder, Reporter},
        reflector::ObjectRef,
    },
};
use ssefleet_crds::SseStream;
use tokio_util::sync::CancellationToken;

use self::{
    apply::apply, children::build, context::Context, memory::Memory, paused::is_paused, prune::prune, resolve::resolve,
    status::update_status,
};
pub use self::{
    credential::Credential,
    error::Error,
    resolve::Observed,
    validate::{Error as ValidateError, Wanted, validate},
};
use crate::{
    NAME,
    autoscale::{self, scalers::Scalers},
    clients::Clients,
    http::Readiness,
    metrics::Metrics,
    nodes::{self, Nodes, Pods},
    probe::Probes,
    secrets::{self, Secrets},
    settings::Settings,
    trigger::Trigger,
    watch::Stores,
};

/// How many streams are reconciled at a time: a restart shall not bury the API server.
const CONCURRENCY: u16 = 8;
/// A rollout changes a Deployment's status many times a second; one look at the last is enough.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Reconciles every stream until `shutdown`, and lets the reconciles under way end.
pub(crate) async fn run(
    clients: Clients,
    settings: Settings,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) {
    let (trigger, triggers) = Trigger::new();
    let (stores, controller) = Stores::new(&clients.watch, &settings.watch_namespaces, triggers);
    let (pods, watching_pods) = Pods::watch(&clients.watch, &settings.watch_namespaces);
    let client = clients.ask;
    metrics.tell_of(stores.streams.clone());
    let streams = controller.store();
    let recorder = Recorder::new(client.clone(), Reporter { controller: NAME.into(), instance: None });
    let probes = Arc::new(Probes::new(client.clone(), metrics.clone(), trigger.clone()));
    let cx = Arc::new(Context {
        client,
        settings,
        stores,
        metrics,
        memory: Memory::default(),
        nodes: Nodes::default(),
        pods,
        secrets: Secrets::default(),
        trigger,
        scalers: Scalers::default(),
        streams,
        recorder,
        probes: probes.clone(),
    });
    let filled = async {
        readiness.set(cx.filled().await.is_ok());
        std::future::pending::<()>().await;
    };
    let reconciling = controller
        .with_config(controller::Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, retry, cx.clone())
        .for_each(|result| {
            match result {
                // The stream is gone, and the last of its children is about to be.
                Err(controller::Error::ObjectNotFound(gone)) => cx.forget(&gone),
                Err(controller::Error::QueueError(error)) => {
                    tracing::warn!(%error, "the queue of streams failed; trying again");
                }
                Ok(_) | Err(_) => {} // a failed reconcile is told by `retry`
            }
            std::future::ready(())
        });
    tokio::select! {
        () = reconciling => {}
        () = filled => {}
        () = probes.run() => {}
        () = watching_pods => {}
        () = nodes::run(&cx) => {}
        () = cx.stores.optional.follow() => {}
        () = secrets::look(&cx.secrets, &cx.client, &cx.trigger) => {}
        () = autoscale::run(&cx) => {}
    }
}

impl Context {
    async fn filled(&self) -> Result<(), Error> {
        self.stores.filled().await.map_err(|_| Error::Stopping)?;
        self.pods.filled().await.map_err(|_| Error::Stopping)
    }

    fn forget(&self, gone: &ObjectRef<DynamicObject>) {
        self.memory.forget(gone);
        self.probes.forget(gone.namespace.as_deref().unwrap_or_default(), &gone.name);
        let stream = ObjectRef::new(&gone.name).within(gone.namespace.as_deref().unwrap_or_default());
        self.nodes.forget(&stream);
        self.secrets.forget(&stream);
    }
}

/// Makes the cluster look as the stream says.
async fn reconcile(stream: Arc<SseStream>, cx: Arc<Context>) -> Result<Action, Error> {
    if stream.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change()); // its children go with it, by their owner references
    }
    let started = Instant::now();
    if is_paused(&stream) {
        return Ok(status::tell_paused(&stream, &cx).await?);
    }
    let result = Box::pin(pipeline(&stream, &cx)).await;
    cx.metrics.seconds.observe(started.elapsed().as_secs_f64());
    cx.metrics.reconciles.with_label_values(&[if result.is_ok() { "ok" } else { "error" }]).inc();
    match &result {
        Ok(_) => cx.memory.succeeded(&stream),
        Err(error) => {
            if let Some(blocked) = error.blocked() {
                status::report(&stream, &blocked, &cx).await;
            }
        }
    }
    result
}

async fn pipeline(stream: &SseStream, cx: &Context) -> Result<Action, Error> {
    cx.filled().await?;
    let observed = resolve(stream, cx).await?; // reads: the Secrets that the stream refers to
    let wanted = validate(stream, &observed, &cx.settings)?; // parsed once; has no invalid state
    status::decided(stream, &observed, cx).await?; // what autoscaling wants is kept before it is acted on
    scale_in::mark(stream, &wanted, cx).await; // who goes, if there are to be fewer nodes
    let applied = Box::pin(apply(build(&wanted), stream, cx)).await?; // writes only what differs
    prune(stream, &wanted, &applied, cx).await?; // ours, and no longer wanted
    cx.nodes.expect(stream, &wanted.manifest.edition); // what the nodes are to run from now on
    Ok(update_status(stream, &observed, &wanted, &applied, cx).await?) // writes only what changed; says when to look again
}

/// A failed reconcile is tried again, later each time: for this stream only.
#[expect(clippy::needless_pass_by_value, reason = "the controller's signature")]
fn retry(stream: Arc<SseStream>, error: &Error, cx: Arc<Context>) -> Action {
    let after = backoff::delay(cx.memory.failed(&stream), fastrand::f64());
    cx.metrics.errors.with_label_values(&[error.metric_label()]).inc();
    tracing::warn!(
        namespace = stream.metadata.namespace,
        stream = stream.metadata.name,
        %error,
        retry_seconds = after.as_secs_f64(),
        "reconcile failed"
    );
    Action::requeue(after)
}
