//! What changes while the node runs, and the streams that it ends: Secrets and key sets, from which a key has gone, and
//! revocations, which come from the log's Redis.
//!
//! A subscriber may have been let in just before a change and join just after its streams were ended; so they are looked
//! through again for a while.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tracing::{info, warn};

use super::Auth;
use crate::{
    broker::{
        BrokerError,
        revocation::{Mark, Revocation},
    },
    fanout::{hub::Hub, tie::Tie},
    metrics::Closed,
};

/// How often the Secrets are looked at; a kubelet takes up to a minute to bring a new one.
const LOOK: Duration = Duration::from_millis(500);
/// How often the broker is asked for revocations: they are to hold everywhere within a second.
const ASK: Duration = Duration::from_millis(300);
/// The same while it does not answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// More than one node has of them.
const EVERYONE: usize = u32::MAX as usize;
/// How long one may be on the way from the check of its token to its stream.
const ON_THE_WAY: Duration = Duration::from_secs(15);

impl Auth {
    /// Follows Secrets and key sets for ever.
    pub async fn follow_keys(self: Arc<Self>, hub: Arc<Hub>) {
        let mut until = None;
        let mut open = self.keys().is_none();
        loop {
            tokio::select! {
                () = sleep(LOOK) => self.look(),
                () = self.changed.notified() => until = Some(Instant::now() + ON_THE_WAY),
            }
            if until.is_none_or(|until| until < Instant::now()) {
                continue;
            }
            let Some(keys) = self.keys() else {
                open = true;
                continue;
            };
            if std::mem::take(&mut open) {
                info!("from now on subscribers need a token: streams that were begun without one end");
                // Who is just being let in has come in by then.
                sleep(LOOK).await;
                hub.close_some(EVERYONE, Closed::KeyRemoved);
            }
            let gone = move |tie: &Tie| tie.identity.as_ref().is_none_or(|identity| !keys.contains(&identity.key));
            hub.close_where(&(Arc::new(gone) as _), Closed::KeyRemoved);
        }
    }

    /// Follows revocations for ever.
    pub async fn follow_revocations(self: Arc<Self>, hub: Arc<Hub>) {
        let (mut mark, mut known, mut away) = (Mark::default(), Vec::new(), false);
        loop {
            match hub.broker().revocations(&mark).await {
                Ok(found) => {
                    away = false;
                    mark = found.mark;
                    self.revoked.add(&found.revocations);
                    if found.lost {
                        let there: HashSet<_> = found.revocations.iter().collect();
                        known = self.revoked.all();
                        known.retain(|one| !there.contains(one));
                    }
                    self.give_back(&hub, &mut known).await;
                }
                Err(error) if !std::mem::replace(&mut away, true) => {
                    warn!(%error, "revocations do not come through; those that are known hold");
                }
                Err(_) => {}
            }
            if self.revoked.has_news(ON_THE_WAY) {
                self.end_revoked(&hub);
            }
            self.metrics.revocations.set(i64::try_from(self.revoked.trim()).unwrap_or(i64::MAX));
            sleep(if away { ASK_AGAIN } else { ASK }).await;
        }
    }

    /// A broker that lost its memory gets back what this node remembers.
    async fn give_back(&self, hub: &Hub, known: &mut Vec<Revocation>) {
        while let Some(revocation) = known.last() {
            if hub.broker().revoke(revocation).await.is_err() {
                return;
            }
            known.pop();
        }
    }

    /// Revokes on all nodes. When it answers, none of them has long to hear of it.
    pub async fn revoke(self: &Arc<Self>, hub: &Hub, revocation: &Revocation) -> Result<(), BrokerError> {
        hub.broker().revoke(revocation).await?;
        self.revoked.add([revocation]);
        self.end_revoked(hub);
        Ok(())
    }

    fn end_revoked(self: &Arc<Self>, hub: &Hub) {
        let auth = self.clone();
        let revoked = move |tie: &Tie| tie.identity.as_ref().is_some_and(|identity| auth.revoked.has(identity));
        hub.close_where(&(Arc::new(revoked) as _), Closed::Revoked);
    }
}
