//! Which server has the log, asked anew for each connection: the one of the URL, the primary that the Sentinels name,
//! or the node that serves the log's slot of a Cluster.
//!
//! Whoever answers may be wrong for a while, so the first thing on a connection is `open.lua`, which a replica refuses.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt, select_ok};
use parking_lot::Mutex;
use redis::{Value, aio::PubSub, from_redis_value};
use ssefleet_crds::part::Part;
use tokio::time::sleep;

use super::{
    address::{Address, Host, Target, Topology},
    connection::Connection,
    dial::{Dialer, STAGGER, each},
    login::Words,
    refused::broken,
};
use crate::broker::{BrokerError, Trouble};

/// How long a Sentinel or a node of a Cluster may take to say where the primary is.
const TELL: Duration = Duration::from_secs(1);

/// The log's server, and how it is reached.
struct Found {
    dialer: Dialer,
    host: Host,
    db: i64,
}

/// An answer under way. In a box, as these are asked for by closures.
type Asking<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

/// The way to the log's server.
#[derive(Clone)]
pub struct Route {
    address: Address,
    /// The log's key, by which the server of a Cluster is found.
    key: String,
    memory: Arc<Memory>,
}

/// What earlier connections have taught, to all who take this way.
#[derive(Default)]
struct Memory {
    /// What Redis took last, which it may take for a while longer than the files hold it.
    taken: Mutex<Option<Words>>,
    /// The nodes of a Cluster, as one of them told last: those of the URL may be gone.
    nodes: Mutex<Vec<Host>>,
}

impl Route {
    pub fn new(address: Address, key: String) -> Self {
        Self { address, key, memory: Arc::default() }
    }

    /// A connection to the log's server whose answers may take so long.
    pub async fn connect(&self, answer_within: Duration) -> Result<Connection, BrokerError> {
        let Found { dialer, host, db } = &self.find().await?;
        let connect = |words| async move { dialer.connect(host, &words, *db, answer_within).await }.boxed();
        self.greeted(connect).await
    }

    /// A connection that listens on channels.
    pub async fn listen(&self) -> Result<PubSub, BrokerError> {
        let Found { dialer, host, db } = &self.find().await?;
        self.greeted(|words| async move { dialer.listen(host, &words, *db).await }.boxed()).await
    }

    async fn find(&self) -> Result<Found, BrokerError> {
        const OF_SERVERS: &str = "broker.redis.external.usernameSecretRef and passwordSecretRef";
        const OF_SENTINELS: &str = "broker.redis.external.sentinel.usernameSecretRef and passwordSecretRef";
        let Target { hosts, tls, db } = self.address.target()?;
        let ca = self.address.ca.as_deref();
        let dialer = Dialer::new(tls, ca, OF_SERVERS)?;
        let host = match &self.address.topology {
            Topology::Standalone => hosts.into_iter().next().ok_or_else(nobody)?,
            Topology::Sentinel { master_name, username, password } => {
                let sentinels = &Dialer::new(tls, ca, OF_SENTINELS)?;
                let words = &Words::read(username.as_ref(), password.as_ref())?;
                first(each(&hosts).await, |host| named(sentinels, host, words, master_name).boxed()).await?
            }
            Topology::Cluster => {
                let mut nodes = self.memory.nodes.lock().clone();
                nodes.extend(each(&hosts).await);
                let dialer = &dialer;
                let ask = |host: Host| async move {
                    let host = &host;
                    self.greeted(|words| async move { self.serves(dialer, host, &words).await }.boxed()).await
                };
                first(nodes, |host| ask(host).boxed()).await?
            }
        };
        Ok(Found { dialer, host, db })
    }

    /// The node that serves the log's slot, as another one tells.
    async fn serves(&self, dialer: &Dialer, host: &Host, words: &Words) -> Result<Host, BrokerError> {
        let mut connection = dialer.connect(host, words, 0, TELL).await?;
        let (slot, slots): (u16, Vec<Vec<Value>>) = redis::pipe()
            .cmd("CLUSTER")
            .arg("KEYSLOT")
            .arg(&self.key)
            .cmd("CLUSTER")
            .arg("SLOTS")
            .query_async(&mut connection)
            .await
            .map_err(|error| told(Part::Cluster, dialer, host, broken(error)))?;
        let mut nodes = Vec::new();
        let mut primary = None;
        for range in slots {
            let bound = |n: usize| range.get(n).and_then(|bound| from_redis_value::<u16>(bound.clone()).ok());
            let here = bound(0).is_some_and(|from| from <= slot) && bound(1).is_some_and(|to| slot <= to);
            let servers: Vec<Host> = range.iter().skip(2).filter_map(|server| node(server, host)).collect();
            if here {
                primary = servers.first().cloned();
            }
            nodes.extend(servers.into_iter().filter(|server| !nodes.contains(server)).collect::<Vec<_>>());
        }
        *self.memory.nodes.lock() = nodes;
        primary.ok_or_else(|| {
            let told = format!("no node of the Cluster serves slot {slot}, where the stream's keys are, says {host}");
            BrokerError::Unready(Trouble::new(Part::Cluster, told))
        })
    }

    /// Shows what the files hold; and if that is refused, what was taken before: a password that is changed comes to the
    /// nodes sooner than to Redis, or later.
    async fn greeted<'a, T>(&self, connect: impl Fn(Words) -> Asking<'a, T>) -> Result<T, BrokerError> {
        let words = Words::read(self.address.username.as_ref(), self.address.password.as_ref())?;
        match connect(words.clone()).await {
            Ok(connected) => {
                *self.memory.taken.lock() = Some(words);
                Ok(connected)
            }
            Err(error) if error.part() == Part::Auth => {
                let before = self.memory.taken.lock().clone().filter(|before| *before != words);
                let Some(before) = before else { return Err(error) };
                connect(before).await.map_err(|_| error)
            }
            Err(error) => Err(error),
        }
    }
}

/// The primary, as a Sentinel tells.
async fn named(dialer: &Dialer, host: Host, words: &Words, master_name: &str) -> Result<Host, BrokerError> {
    let host = &host;
    let mut connection = dialer.connect(host, words, 0, TELL).await?;
    let mut ask = redis::cmd("SENTINEL");
    ask.arg("GET-MASTER-ADDR-BY-NAME").arg(master_name);
    let named: Option<(String, u16)> =
        ask.query_async(&mut connection).await.map_err(|error| told(Part::Sentinel, dialer, host, broken(error)))?;
    let (name, port) = named.ok_or_else(|| {
        let told = format!(
            "the Sentinel at {host} knows no primary called {master_name:?}: correct broker.redis.external.sentinel.masterName"
        );
        BrokerError::Unready(Trouble::new(Part::Sentinel, told))
    })?;
    Ok(Host::new(name, port))
}

/// What is wrong with one that was to tell where the primary is.
fn told(part: Part, dialer: &Dialer, host: &Host, error: BrokerError) -> BrokerError {
    let trouble = match error {
        BrokerError::Away(error) => Trouble::new(Part::Tcp, format!("{host} does not answer: {error}")),
        BrokerError::Refused(trouble) | BrokerError::Unready(trouble) if trouble.part == Part::Auth => {
            let fields = dialer.login_fields;
            Trouble::new(Part::Auth, format!("{host} refuses: {trouble}; correct the Secrets of {fields}"))
        }
        error => {
            let what = if part == Part::Sentinel { "Sentinel" } else { "node of a Redis Cluster" };
            let told =
                format!("{host} does not answer as a {what} does: {error}; look at broker.redis.external.topology");
            Trouble::new(part, told)
        }
    };
    BrokerError::Unready(trouble)
}

/// A node as CLUSTER SLOTS tells it. One without a name is to be reached as the one that was asked.
fn node(server: &Value, asked: &Host) -> Option<Host> {
    let fields: Vec<Value> = from_redis_value(server.clone()).ok()?;
    let name: Option<String> = from_redis_value(fields.first()?.clone()).ok()?;
    let port = from_redis_value(fields.get(1)?.clone()).ok()?;
    match name.filter(|name| !name.is_empty()) {
        Some(name) if name == "?" => None,
        Some(name) => Some(Host::new(name, port)),
        None => Some(Host { port, at: asked.at.map(|at| (at.ip(), port).into()), name: asked.name.clone() }),
    }
}

/// Asks one after the other in any order, the next also when one takes long, until one answers.
async fn first<'a, T>(mut hosts: Vec<Host>, ask: impl Fn(Host) -> Asking<'a, T>) -> Result<T, BrokerError> {
    if hosts.is_empty() {
        return Err(nobody());
    }
    fastrand::shuffle(&mut hosts);
    let tries = hosts.into_iter().zip(0..).map(|(host, n)| {
        let asking = ask(host);
        Box::pin(async move {
            sleep(STAGGER * n).await;
            asking.await
        })
    });
    select_ok(tries).await.map(|(answer, _)| answer)
}

fn nobody() -> BrokerError {
    BrokerError::Refused(Trouble::new(Part::Other, "broker.redis.external.url names no host"))
}
