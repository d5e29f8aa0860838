//! The operator of ssefleet: keeps, for every `SseStream`, the children that it asks for.
//!
//! [`run`] is the one way in. It owns nothing global: clients, settings, listener and shutdown are handed to it, so
//! that a test runs it in its own process. The story of one reconcile is in [`controller`].

mod autoscale;
mod clients;
pub mod controller;
pub mod custom_metrics;
mod digest;
mod http;
mod lease;
mod metrics;
mod nodes;
pub mod optional;
pub mod probe;
mod relist;
pub mod render;
mod secrets;
pub mod settings;
mod slim;
mod trigger;
mod watch;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use crate::{clients::Clients, lease::Identity, settings::Settings};
use crate::{http::Readiness, metrics::Metrics};

/// The field manager of every server-side apply, and the reporter of every event.
pub const NAME: &str = ssefleet_crds::names::OPERATOR;

/// Why the operator stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Lease(#[from] lease::Error),
    #[error("can't set up metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the watches ended")]
    WatchesEnded,
}

/// Reconciles until `shutdown`; with a `lease`, only while it is held. Probes and metrics are answered on
/// `listener` all the time.
pub async fn run(
    clients: Clients,
    settings: Settings,
    lease: Option<Identity>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let (metrics, readiness) = (Metrics::new()?, Readiness::default());
    let acting = act_when_leading(clients, settings, lease, metrics.clone(), readiness.clone(), shutdown);
    tokio::select! {
        result = acting => result,
        () = http::serve(listener, metrics, readiness) => Ok(()),
    }
}

async fn act_when_leading(
    clients: Clients,
    settings: Settings,
    lease: Option<Identity>,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let held = match &lease {
        None => None,
        Some(identity) => {
            readiness.set(true);
            tracing::info!(identity.holder, "standing by");
            tokio::select! {
                held = lease::acquire(&clients.ask, identity) => Some(held?),
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    };
    readiness.set(false);
    metrics.leader.set(1);
    tracing::info!("reconciling");
    let acting = Box::pin(controller::run(clients, settings, metrics, readiness, shutdown.clone()));
    let Some(held) = held else {
        acting.await;
        return ended(&shutdown);
    };
    tokio::select! {
        () = acting => {}
        // Dropping the controller stops it in the middle of what it does: another replica may act already.
        error = held.lost() => return Err(error.into()),
    }
    held.release().await;
    ended(&shutdown)
}

fn ended(shutdown: &CancellationToken) -> Result<(), Error> {
    if shutdown.is_cancelled() { Ok(()) } else { Err(Error::WatchesEnded) }
}
