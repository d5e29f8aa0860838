//! `sse-node` serves one server-sent-events stream.
//!
//! [`serve`] is the one way in: it takes a checked [`Stream`], a broker, three listeners and a signal to stop,
//! and owns nothing global, so that tests run several nodes in one process. From a publisher to a subscriber:
//! `http::publish` → `publication` → `broker` (the log) → `fanout::hub` (the ring) → `fanout::shard` (cursors and
//! sockets, which `http::public` handed over).

pub mod auth;
pub mod broker;
pub mod changes;
pub mod config;
pub mod drain;
pub mod encode;
pub mod event;
pub mod fanout;
pub mod health;
pub mod http;
mod jitter;
pub mod limits;
pub mod metrics;
pub mod pace;
pub mod publication;
pub mod retry;
pub mod shed;
mod trust;

use std::{io, path::PathBuf, sync::Arc};

use hyper::header::HeaderValue;
use ssefleet_crds::Stream;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::Auth,
    broker::Broker,
    changes::Changes,
    config::Current,
    drain::Drain,
    fanout::hub::Hub,
    http::{
        admin::Admin,
        admit::Door,
        bounds::Bounds,
        guard::Guard,
        listen::listen,
        probe::Probes,
        public::Public,
        publish::{
            Publish,
            intake::{self, Intake, Patience},
        },
        room::Room,
        tls::Tls,
    },
    limits::Limits,
    metrics::{Closed, Metrics},
    pace::Pace,
    shed::Shedding,
};

/// What a node serves.
pub struct Setup {
    pub stream: Stream,
    /// The changes of the manifest that `stream` is from.
    pub changes: Option<Changes>,
    /// Where Secrets lie as files, NAME/KEY.
    pub secrets: PathBuf,
    pub broker: Arc<dyn Broker>,
    /// What the node is called.
    pub name: Option<String>,
}

/// Where a node listens.
pub struct Listeners {
    pub public: TcpListener,
    /// On the public listener.
    pub tls: Option<Arc<Tls>>,
    pub publish: TcpListener,
    pub admin: TcpListener,
}

/// How a node is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// By Kubernetes: proxies still have to hear that the endpoint is gone.
    Terminated,
    /// By the admin port, for which the same holds.
    Drained,
    /// By whoever sits at the terminal.
    Interrupted,
}

/// Why a node can't run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("can't start a thread for each core: {0}")]
    Shards(#[source] io::Error),
}

/// Serves until `stop` resolves, or the admin port asks for it, and the drain is over.
pub async fn serve(setup: Setup, listeners: Listeners, stop: impl Future<Output = Stop>) -> Result<(), ServeError> {
    let Setup { stream, changes, secrets, broker, name } = setup;
    let metrics = Metrics::new()?;
    let drain = Arc::new(Drain::default());
    let limits = Limits::new(broker.counts(), metrics.clone());
    let hub = Hub::start(broker, &stream, metrics.clone());
    let hub = Arc::new(hub.map_err(ServeError::Shards)?);
    let guard = Guard::new(&stream.name, &secrets);
    let finish = CancellationToken::new();
    let probes = Probes::new(&stream, &secrets, metrics.clone(), finish.clone());
    let auth = Arc::new(Auth::new(&stream.auth, secrets, metrics.clone()));
    let current = Current::new(stream);
    let door = Door {
        current: current.clone(),
        hub: hub.clone(),
        auth: auth.clone(),
        limits: limits.clone(),
        metrics: metrics.clone(),
        finish: finish.clone(),
    };
    let public = Public { door, probes, node: name.and_then(|name| HeaderValue::from_str(&name).ok()), ids: 1.into() };
    let publish = Publish {
        current: current.clone(),
        hub: hub.clone(),
        auth: auth.clone(),
        limits: limits.clone(),
        metrics: metrics.clone(),
        intake: Intake::new(Patience::until(finish.clone()), intake::MEMORY),
    };
    let pace = Arc::new(Pace::new(hub.clone()));
    let admin = Admin {
        current: current.clone(),
        hub: hub.clone(),
        auth: auth.clone(),
        drain: drain.clone(),
        pace: pace.clone(),
        shedding: Shedding::default(),
        metrics: metrics.clone(),
        guard,
        errors: 0.into(),
    };

    let conversations = TaskTracker::new();
    let mut tasks = tokio::task::JoinSet::new();
    {
        let hub = hub.clone();
        tasks.spawn(async move { hub.follow().await });
    }
    {
        let hub = hub.clone();
        tasks.spawn(async move { hub.age().await });
    }
    {
        let pace = pace.clone();
        tasks.spawn(async move { pace.present().await });
    }
    tasks.spawn(auth.clone().follow_keys(hub.clone()));
    tasks.spawn(auth.clone().follow_revocations(hub.clone()));
    {
        let (limits, declared) = (limits.clone(), current.get());
        tasks.spawn(async move { limits.run(&declared.rate_limits).await });
    }
    if let Some(channel) = current.get().broadcast_channel.clone() {
        let (hub, max_bytes) = (hub.clone(), current.get().history.max_event_bytes);
        tasks.spawn(async move { hub.relay(&channel, max_bytes).await });
    }
    if let Some(changes) = changes {
        tasks.spawn(changes::watch(changes, current.clone(), hub.clone(), auth.clone()));
    }
    if let Some(tls) = listeners.tls.clone() {
        tasks.spawn(async move { tls.watch().await });
    }
    let bounds = Bounds::default();
    let public = Room::new(public, metrics.clone(), bounds, finish.clone());
    let publish = Room::new(publish, metrics.clone(), bounds, finish.clone());
    // Probes and figures are answered to the end.
    let admin = Room::new(admin, metrics.clone(), bounds, CancellationToken::new());
    tasks.spawn(listen(listeners.public, listeners.tls, public, conversations.clone()));
    tasks.spawn(listen(listeners.publish, None, publish, conversations.clone()));
    tasks.spawn(listen(listeners.admin, None, admin, TaskTracker::new()));

    let why = tokio::select! {
        why = stop => why,
        () = drain.asked() => Stop::Drained,
    };
    drain.run(why, current.get().drain, &pace, &metrics, &conversations, &finish).await;
    // What is left at the deadline is ended while it can still be told that these may come back uncounted.
    hub.close_all(Closed::Cut).await;
    limits.finish().await;
    // Dropping the tasks closes the listeners and the reader of the log, and the hub ends its shards.
    Ok(())
}
