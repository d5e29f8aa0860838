//! One operator acts, the others stand by. The Lease is taken and renewed by kube-lease-manager; beside it
//! the Lease is read every other second, for the two things that the manager does not do by itself: take over at
//! once when the holder has let go, and stop acting when renewals no longer reach the API server.

use std::time::Duration;

use k8s_openapi::{api::coordination::v1::Lease, jiff::Timestamp};
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::time::{sleep, timeout};

/// The Lease's name, in the operator's own namespace.
const NAME: &str = "sse-operator";
/// Another replica takes over when the holder has been silent for so long.
const DURATION: u64 = 15;
/// The holder renews so long before the end; it has three tries then.
const GRACE: u64 = 10;
/// How often the Lease is read.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't use the Lease {NAME}: {0}")]
    Lease(#[from] LeaseManagerError),
    #[error("lost the Lease {NAME}: {0}")]
    Lost(&'static str),
}

/// Who asks for the Lease.
#[derive(Clone, Debug)]
pub struct Identity {
    pub namespace: String,
    /// The pod's name: `kubectl get lease` shows who acts.
    pub holder: String,
}

/// The Lease, held until it is lost or released.
pub struct Held {
    manager: LeaseManager,
    api: Api<Lease>,
    holder: String,
}

/// Waits until this replica holds the Lease. May be dropped at any time.
pub async fn acquire(client: &Client, identity: &Identity) -> Result<Held, Error> {
    let api = Api::<Lease>::namespaced(client.clone(), &identity.namespace);
    loop {
        let manager = LeaseManagerBuilder::new(client.clone(), NAME)
            .with_namespace(&identity.namespace)
            .with_identity(&identity.holder)
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await;
        let attempt = async {
            let manager = manager?;
            while !manager.changed().await? {}
            Ok::<_, Error>(manager)
        };
        tokio::select! {
            attempt = attempt => match attempt {
                Ok(manager) => return Ok(Held { manager, api, holder: identity.holder.clone() }),
                // The API server may be away, or the rights may still be missing: standing by means to try again.
                Err(error) => tracing::warn!(%error, "can't take the lease yet"),
            },
            // The manager would sleep until the Lease ends; a new one looks at once.
            () = let_go(&api) => {}
        }
        sleep(Duration::from_millis(fastrand::u64(200..1000))).await;
    }
}

/// Returns when the Lease had a holder and has none any more.
async fn let_go(api: &Api<Lease>) {
    let mut held = false;
    loop {
        if let Ok(Some(lease)) = api.get_opt(NAME).await {
            match lease.spec.and_then(|spec| spec.holder_identity) {
                Some(_) => held = true,
                None if held => return,
                None => {}
            }
        }
        sleep(LOOK).await;
    }
}

impl Held {
    /// Renews the Lease, and returns when it is not this replica's any more.
    pub async fn lost(&self) -> Error {
        tokio::select! {
            error = self.renewed() => error,
            error = self.watched() => error,
        }
    }

    async fn renewed(&self) -> Error {
        loop {
            match self.manager.changed().await {
                Ok(true) => {}
                Ok(false) => return Error::Lost("another replica has it"),
                Err(error) => {
                    tracing::warn!(%error, "can't renew the lease");
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// The manager keeps trying for ever when the API server can't be reached; another replica may have taken over
    /// by then. So whoever can't see a valid Lease of its own must stop.
    async fn watched(&self) -> Error {
        let mut until = Timestamp::now() + Duration::from_secs(DURATION);
        loop {
            let left = until.duration_since(Timestamp::now()).try_into().unwrap_or(Duration::ZERO);
            if left.is_zero() {
                return Error::Lost("it could not be renewed in time");
            }
            if let Ok(Ok(lease)) = timeout(left.min(LOOK), self.api.get(NAME)).await {
                let spec = lease.spec.unwrap_or_default();
                if spec.holder_identity.as_ref() != Some(&self.holder) {
                    return Error::Lost("another replica has it");
                }
                if let Some(renewed) = spec.renew_time {
                    until = renewed.0 + Duration::from_secs(DURATION);
                }
            }
            sleep(left.min(LOOK)).await;
        }
    }

    /// Lets go, so that another replica need not wait for the end of the Lease.
    pub async fn release(self) {
        if let Err(error) = self.manager.release().await {
            tracing::warn!(%error, "can't release the lease; another replica takes over when it ends");
        }
    }
}
