//! Who may subscribe, and who may publish: `spec.auth` at work.
//!
//! A request's token is found by `sources`; `gate` is one `jwt` block with its `keys`, from `secrets` or a `jwks`, and
//! `token` says whether a token is good by them; what it grants is `grants`, and who is refused is told by `denied`.
//! `follow` is what changes while the node runs: Secrets, key sets, the manifest, and what is `revoked`.

mod crypto;
mod denied;
mod fetch;
mod follow;
mod gate;
mod grants;
mod identity;
mod jwk;
mod jwks;
mod keys;
mod members;
mod publisher;
mod revoked;
mod secrets;
mod sources;
mod spki;
mod token;
mod tokens;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use hyper::HeaderMap;
use parking_lot::{Mutex, RwLock};
use ssefleet_crds::{auth, auth::Jwt};
use tokio::sync::Notify;
use tracing::warn;

pub use self::{
    denied::Denied,
    identity::Identity,
    publisher::Publisher,
    secrets::{content as read_secret, path as secret_file},
    tokens::Tokens,
};
use self::{
    gate::{Gate, Surroundings},
    revoked::Revocations,
    secrets::{Contents, Followed},
    token::Bad,
};
use crate::{
    http::{ask::Ask, fields::Fields},
    metrics::Metrics,
};

/// Says who is who.
pub struct Auth {
    /// Where Secrets lie as files.
    folder: PathBuf,
    metrics: Metrics,
    /// What is declared, and what its Secrets hold.
    declared: Mutex<(auth::Auth, Followed)>,
    gates: RwLock<Arc<Gates>>,
    revoked: Revocations,
    /// Who may be connected has changed.
    changed: Arc<Notify>,
}

/// Who is let in now.
struct Gates {
    subscribers: Option<Arc<Gate>>,
    publishers: Publishers,
}

enum Publishers {
    /// Whoever reaches the port.
    Open,
    Tokens(Option<Tokens>),
    Jwt(Arc<Gate>),
}

impl Auth {
    pub fn new(declared: &auth::Auth, folder: PathBuf, metrics: Metrics) -> Self {
        crypto::install();
        let contents = secrets::read(paths(declared, &folder));
        let changed = Arc::new(Notify::new());
        let gates = Gates::new(declared, None, &folder, &contents, &metrics, &changed);
        let declared = Mutex::new((declared.clone(), Followed::new(contents)));
        Self { folder, metrics, declared, gates: RwLock::new(gates.into()), revoked: Revocations::default(), changed }
    }

    /// Who asks to subscribe; none where nobody has to say.
    pub async fn subscriber(&self, ask: &Ask<'_>) -> Result<Option<Identity>, Denied> {
        let Some(gate) = self.gates().subscribers.clone() else { return Ok(None) };
        let identity = gate.identify(ask.fields, ask.query).await?;
        if self.revoked.has(&identity) {
            return Err(Bad::Revoked.into());
        }
        if grants::something(&identity.grants) { Ok(Some(identity)) } else { Err(Denied::NoGrant) }
    }

    /// Who asks to publish.
    pub async fn publisher(&self, headers: &HeaderMap, query: &str) -> Result<Publisher, Denied> {
        let gates = self.gates();
        let publisher = match &gates.publishers {
            Publishers::Open => Publisher::Anyone,
            Publishers::Tokens(_) => Publisher::Holder(gate::bearer(headers)?),
            Publishers::Jwt(gate) => Publisher::known(gate.identify(Fields::Map(headers), query).await?),
        };
        self.still(&publisher).map(|()| publisher)
    }

    /// Whether one who was let in to publish would be now.
    pub fn still(&self, publisher: &Publisher) -> Result<(), Denied> {
        match (&self.gates().publishers, publisher) {
            (Publishers::Open, _) => Ok(()),
            (Publishers::Tokens(Some(tokens)), Publisher::Holder(token)) if tokens.have(token) => Ok(()),
            (Publishers::Jwt(gate), Publisher::Known(identity, until)) => {
                if until.is_some_and(|until| until < Instant::now()) {
                    Err(Bad::Expired.into())
                } else if !gate.fingerprints().any(|key| key == identity.key) {
                    Err(Bad::Key.into())
                } else if self.revoked.has(identity) {
                    Err(Bad::Revoked.into())
                } else {
                    Ok(())
                }
            }
            _ => Err(Denied::Unknown),
        }
    }

    fn gates(&self) -> Arc<Gates> {
        self.gates.read().clone()
    }

    /// Takes over what is declared anew.
    pub fn reconfigure(&self, wanted: &auth::Auth) {
        let mut declared = self.declared.lock();
        if declared.0 != *wanted {
            *declared = (wanted.clone(), Followed::new(secrets::read(paths(wanted, &self.folder))));
            self.renew(&declared.0, declared.1.believed());
        }
    }

    /// Another look at the Secrets.
    fn look(&self) {
        let mut declared = self.declared.lock();
        let found = secrets::read(paths(&declared.0, &self.folder));
        if declared.1.look(found) {
            self.renew(&declared.0, declared.1.believed());
        }
    }

    fn renew(&self, declared: &auth::Auth, contents: &Contents) {
        let before = self.gates();
        let gates = Gates::new(declared, Some(&before), &self.folder, contents, &self.metrics, &self.changed);
        *self.gates.write() = gates.into();
        self.changed.notify_one();
    }

    /// The keys that let subscribers in now; none where nobody needs one.
    fn keys(&self) -> Option<HashSet<keys::Fingerprint>> {
        self.gates().subscribers.as_ref().map(|gate| gate.fingerprints().collect())
    }
}

impl Gates {
    fn new(
        declared: &auth::Auth,
        before: Option<&Self>,
        folder: &Path,
        contents: &Contents,
        metrics: &Metrics,
        changed: &Arc<Notify>,
    ) -> Self {
        let around = |field| Surroundings { folder, contents, metrics, changed, field };
        let gate = |jwt: &Jwt, before, field| Arc::new(Gate::new(jwt, before, &around(field)));
        let earlier = before.and_then(|before| before.subscribers.as_deref());
        let subscribers = declared.jwt.as_ref().map(|jwt| gate(jwt, earlier, "spec.auth.jwt"));
        let mut useless = subscribers.as_ref().map_or(0, |gate| gate.useless);
        let publishers = match declared.publish.as_ref().map(|publish| (&publish.token_secret_ref, &publish.jwt)) {
            None => Publishers::Open,
            Some((_, Some(jwt))) => {
                let earlier = before.and_then(|before| match &before.publishers {
                    Publishers::Jwt(gate) => Some(&**gate),
                    _ => None,
                });
                let gate = gate(jwt, earlier, "spec.auth.publish.jwt");
                useless += gate.useless;
                Publishers::Jwt(gate)
            }
            Some((secret, None)) => {
                let path = secret.as_ref().map(|secret| secrets::path(folder, secret)).unwrap_or_default();
                let content = contents.get(&path).and_then(Option::as_deref);
                let tokens = content.and_then(Tokens::read).filter(|tokens| !tokens.is_empty());
                if tokens.is_none() {
                    useless += 1;
                    let path = path.display();
                    warn!(%path, "there is no token in the file of auth.publish.tokenSecretRef: nobody may publish");
                }
                Publishers::Tokens(tokens)
            }
        };
        metrics.auth_keys_useless.set(i64::try_from(useless).unwrap_or(i64::MAX));
        Self { subscribers, publishers }
    }
}

/// The files of what is declared.
fn paths<'a>(declared: &'a auth::Auth, folder: &'a Path) -> impl Iterator<Item = PathBuf> + use<'a> {
    declared.secrets().map(|secret| secrets::path(folder, secret))
}
