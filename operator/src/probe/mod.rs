//! Whether the way from outside lets a stream be one: the operator subscribes as the world does, and looks when what
//! the nodes send arrives. Proxies that buffer, cut or rewrite are found so, whatever their configuration says.
//!
//! `way` is what is to be probed and `schedule` when, `round` asks, by way of `ask`, with a `pass` and such `trust` as
//! the stream's Secrets give; `judge` says what the answer means and `remedy` what to do about it: a `finding`. Only
//! who leads probes, beside the reconciles and never in them; a finding that is news has its stream reconciled.

mod ask;
mod finding;
mod judge;
mod pass;
mod remedy;
mod round;
mod schedule;
mod trust;
mod way;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Instant,
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, runtime::reflector::ObjectRef};
use parking_lot::Mutex;
use rustls::RootCertStore;
use ssefleet_crds::names;
use tokio::{sync::Notify, task::JoinSet, time::sleep_until};

use self::schedule::{Due, Schedule};
pub use self::{
    finding::{Finding, Measured, Outcome},
    pass::Key,
    round::{Secrets, round},
    trust::{Held, system},
    way::{Certificate, Plan, Via, Way},
};
use crate::{metrics::Metrics, trigger::Trigger};

/// Probes at a time. One takes half a minute, so that 1,000 streams need 60 or so for one each in ten minutes.
const AT_A_TIME: usize = 64;

/// The streams that are to be probed, and what was found.
pub(crate) struct Probes {
    client: Client,
    metrics: Metrics,
    schedule: Mutex<Schedule>,
    /// Something is due earlier than it was.
    earlier: Notify,
    trigger: Trigger,
    /// Read at the first probe by TLS.
    roots: OnceLock<RootCertStore>,
}

impl Probes {
    /// `trigger` has those streams reconciled of which there is news.
    pub fn new(client: Client, metrics: Metrics, trigger: Trigger) -> Self {
        Self { client, metrics, schedule: Mutex::default(), earlier: Notify::new(), trigger, roots: OnceLock::new() }
    }

    /// A stream is to be probed so from now on; see [`Schedule::want`].
    pub fn want(&self, plan: Plan, known: bool) {
        let key = (plan.namespace.clone(), plan.name.clone());
        if self.schedule.lock().want(key, plan, known, Instant::now(), fastrand::f64()) {
            self.earlier.notify_one();
        }
    }

    pub fn forget(&self, namespace: &str, name: &str) {
        self.schedule.lock().forget(&(namespace.to_owned(), name.to_owned()));
    }

    /// What was found last of a stream as it is wanted now, and of which generation that is.
    pub fn finding(&self, namespace: &str, name: &str) -> Option<(Arc<Finding>, Option<i64>)> {
        self.schedule.lock().finding(&(namespace.to_owned(), name.to_owned()))
    }

    /// Probes what is due, until it is dropped, and with it all that is under way.
    pub async fn run(self: &Arc<Self>) {
        let mut running = JoinSet::new();
        loop {
            let next = self.begin_due(&mut running);
            let wait = async {
                match next {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(ended) = running.join_next() => {
                    if let Ok((due, finding)) = ended {
                        self.end(&due, finding);
                    }
                }
                () = self.earlier.notified() => {}
                () = wait => {}
            }
        }
    }

    /// Begins what is due and there is room for; says when more will be.
    fn begin_due(self: &Arc<Self>, running: &mut JoinSet<(Due, Finding)>) -> Option<Instant> {
        while running.len() < AT_A_TIME {
            match self.schedule.lock().next(Instant::now()) {
                Err(at) => return at,
                Ok(due) => {
                    let probes = self.clone();
                    running.spawn(async move {
                        let finding = probes.probe(&due.plan).await;
                        (due, finding)
                    });
                }
            }
        }
        None
    }

    fn end(&self, due: &Due, finding: Finding) {
        let (namespace, name) = &due.key;
        let outcome = finding.outcome;
        self.metrics.probed(finding.outcome.reason(), finding.measured.first_byte);
        tracing::debug!(namespace, stream = name, outcome = outcome.reason(), finding.message, "probed");
        if self.schedule.lock().found(due, finding, Instant::now(), fastrand::f64()) {
            self.trigger.reconcile(ObjectRef::new(name).within(namespace));
        }
    }

    async fn probe(&self, plan: &Plan) -> Finding {
        match self.secrets(plan).await {
            Ok(secrets) => Box::pin(round(plan, &secrets, self.roots.get_or_init(system))).await,
            Err(sentence) => Finding {
                outcome: Outcome::NotProbed,
                message: format!("{sentence}. It is tried again"),
                measured: Measured::default(),
            },
        }
    }

    async fn secrets(&self, plan: &Plan) -> Result<Secrets, String> {
        let api = Api::<Secret>::namespaced(self.client.clone(), &plan.namespace);
        let read = async |name: &str| {
            api.get_opt(name).await.map_err(|error| format!("the Secret {name} can't be read: {error}"))
        };
        let token = names::admin_token(&plan.name);
        let secret = read(&token.name).await?;
        let data = secret.as_ref().and_then(|secret| secret.data.as_ref()).and_then(|data| data.get(&token.key));
        let key = data.and_then(|value| Key::of(&value.0));
        let key = key.ok_or_else(|| format!("the Secret {} has no {} to sign a probe with", token.name, token.key))?;
        let mut held = BTreeMap::new();
        for name in plan.ways.iter().filter_map(|way| way.tls.as_ref()?.secret.as_ref()) {
            if let Some(secret) = read(name).await? {
                held.insert(name.clone(), Held::of(&secret));
            }
        }
        Ok(Secrets { key, held })
    }
}
