//! `sse-node` serves one server-sent-events stream.
//!
//! [`serve`] is the one way in: it takes a checked [`Stream`], a broker, three listeners and a signal to stop,
//! and owns nothing global, so that tests run several nodes in one process. From a publisher to a subscriber:
//! `http::publish` → `publication` → `broker` (the log) → `fanout::hub` (the ring) → `fanout::subscription` (a
//! cursor) → `http::public`.

pub mod broker;
pub mod config;
pub mod drain;
pub mod encode;
pub mod event;
pub mod fanout;
pub mod health;
pub mod http;
pub mod metrics;
pub mod publication;

use std::{sync::Arc, time::Duration};

use hyper::header::HeaderValue;
use ssefleet_crds::Stream;
use tokio::{net::TcpListener, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    broker::Broker,
    drain::Drain,
    fanout::hub::Hub,
    http::{admin::Admin, listen::listen, public::Public, publish::Publish},
    metrics::Metrics,
};

/// Where a node listens.
pub struct Listeners {
    pub public: TcpListener,
    pub publish: TcpListener,
    pub admin: TcpListener,
}

/// How a node is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// By Kubernetes: proxies still have to hear that the endpoint is gone.
    Terminated,
    /// By whoever sits at the terminal.
    Interrupted,
}

/// Serves until `stop` resolves and the drain is over.
pub async fn serve(
    stream: Stream,
    broker: Arc<dyn Broker>,
    node: Option<String>,
    listeners: Listeners,
    stop: impl Future<Output = Stop>,
) -> Result<(), prometheus::Error> {
    let metrics = Metrics::new()?;
    let drain = Arc::new(Drain::default());
    let hub = Arc::new(Hub::new(broker, stream.history.max_events, metrics.clone()));
    let public = Public {
        path: stream.path.clone(),
        connections: stream.connections,
        hub: hub.clone(),
        drain: drain.clone(),
        metrics: metrics.clone(),
        node: node.and_then(|name| HeaderValue::from_str(&name).ok()),
    };
    let publish =
        Publish { max_event_bytes: stream.history.max_event_bytes, hub: hub.clone(), metrics: metrics.clone() };
    let admin = Admin { hub: hub.clone(), drain: drain.clone(), metrics: metrics.clone(), errors: 0.into() };

    let connections = TaskTracker::new();
    let probes = TaskTracker::new();
    let finish = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { hub.follow().await });
    tasks.spawn(listen(listeners.public, Arc::new(public), connections.clone(), finish.clone()));
    tasks.spawn(listen(listeners.publish, Arc::new(publish), connections.clone(), finish.clone()));
    tasks.spawn(listen(listeners.admin, Arc::new(admin), probes, finish.clone()));

    let why = stop.await;
    drain_connections(&stream, why, &drain, &connections, &finish, &metrics).await;
    // Dropping the tasks closes the listeners and the reader of the log.
    Ok(())
}

async fn drain_connections(
    stream: &Stream,
    why: Stop,
    drain: &Drain,
    connections: &TaskTracker,
    finish: &CancellationToken,
    metrics: &Metrics,
) {
    let deadline = time::Instant::now() + stream.drain.timeout;
    drain.begin();
    info!(?why, connections = metrics.connections.get(), "draining");
    if why == Stop::Terminated {
        time::sleep(leave_the_proxies(stream.drain.timeout)).await;
    }
    finish.cancel();
    connections.close();
    tokio::select! {
        () = connections.wait() => info!("all connections are closed"),
        () = drain.hand_out_turns(stream.drain.reconnects_per_second) => {}
        () = time::sleep_until(deadline) => {
            warn!(left = metrics.connections.get(), "the drain timeout is over: what is left is closed at once");
        }
    }
}

/// How long proxies get to hear that a pod has left the endpoints. Nothing tells when they have; in practice
/// it takes about a second.
fn leave_the_proxies(drain_timeout: Duration) -> Duration {
    (drain_timeout / 10).min(Duration::from_secs(5))
}
