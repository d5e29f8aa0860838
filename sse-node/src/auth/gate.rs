//! One `jwt` block at work: its rules, and its keys from Secrets and key sets, which are nobody else's.

use std::{path::Path, sync::Arc};

use hyper::HeaderMap;
use ssefleet_crds::auth::{Jwt, TokenSource};
use tokio::sync::Notify;
use tracing::warn;

use super::{
    Identity,
    denied::Denied,
    jwks::{KeySet, Known, Source},
    keys::{Fingerprint, Key},
    secrets::{self, Contents},
    sources, spki,
    token::{Bad, Claims, Head, Rules},
};
use crate::{http::fields::Fields, metrics::Metrics};

/// A block at work.
pub struct Gate {
    rules: Rules,
    sources: Vec<TokenSource>,
    keys: Vec<Key>,
    sets: Vec<Arc<KeySet>>,
    /// Keys that can't be used.
    pub useless: usize,
}

/// What a gate is made with.
pub struct Surroundings<'a> {
    pub folder: &'a Path,
    pub contents: &'a Contents,
    pub metrics: &'a Metrics,
    /// Is told when the keys of a set have changed.
    pub changed: &'a Arc<Notify>,
    /// Where in the manifest the block is.
    pub field: &'static str,
}

impl Gate {
    /// Key sets that were followed before go on.
    pub fn new(jwt: &Jwt, before: Option<&Self>, around: &Surroundings<'_>) -> Self {
        let rules = Rules::new(jwt);
        let mut gate =
            Self { sources: jwt.token_sources.clone(), keys: Vec::new(), sets: Vec::new(), useless: 0, rules };
        for key in &jwt.keys {
            if let Some(jwks) = &key.jwks {
                let authority = jwks.ca_secret_ref.as_ref().map(|secret| secrets::path(around.folder, secret));
                let source = Source { url: jwks.url.clone(), authority, pinned: gate.rules.pinned().to_vec() };
                if gate.sets.iter().any(|set| set.source == source) {
                    continue;
                }
                let known = before.and_then(|gate| gate.sets.iter().find(|set| set.source == source)).cloned();
                let start = || Arc::new(KeySet::start(source, around.metrics.clone(), around.changed.clone()));
                gate.sets.push(known.unwrap_or_else(start));
                continue;
            }
            let shared = key.secret_ref.is_some();
            let Some(secret) = key.secret_ref.as_ref().or(key.public_key_ref.as_ref()) else { continue };
            let path = secrets::path(around.folder, secret);
            let content = around.contents.get(&path).and_then(Option::as_deref);
            match gate.key(key.kid.clone(), shared, content) {
                Ok(key) => gate.keys.push(key),
                Err(why) => {
                    gate.useless += 1;
                    let (path, field) = (path.display(), around.field);
                    warn!(%path, field, why, "a key can't be used: tokens that are signed with it are refused");
                }
            }
        }
        gate
    }

    fn key(&self, kid: Option<String>, shared: bool, content: Option<&[u8]>) -> Result<Key, String> {
        let content = content.ok_or("its file can't be read: make the Secret, or correct its name and key")?;
        let pinned = self.rules.pinned();
        let key = if shared {
            Key::shared(kid, content, pinned)
        } else {
            Key::public(kid, &spki::read(content).map_err(|error| error.to_string())?, pinned)
        };
        key.map_err(|error| error.to_string())
    }

    /// All keys that let one in now.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> {
        let sets =
            self.sets.iter().flat_map(|set| set.known().keys.iter().map(|key| key.fingerprint).collect::<Vec<_>>());
        self.keys.iter().map(|key| key.fingerprint).chain(sets)
    }

    /// Who it is that asks.
    pub async fn identify(&self, fields: Fields<'_>, query: &str) -> Result<Identity, Denied> {
        let Some(token) = sources::token(fields, query, &self.sources)? else {
            return Err(Denied::NoToken(sources::how(&self.sources)));
        };
        let head = self.rules.head(&token)?;
        let mut sets: Vec<Known> = self.sets.iter().map(|set| set.known()).collect();
        let mut found = self.try_keys(&token, &head, &sets);
        if let (Err(Bad::Key), Some(_)) = (&found, &head.kid) {
            for (set, seen) in self.sets.iter().zip(&mut sets) {
                set.after(seen).await;
                *seen = set.known();
            }
            found = self.try_keys(&token, &head, &sets);
        }
        let (key, claims) = found?;
        Ok(Identity::new(key, claims, self.rules.leeway()))
    }

    /// The key that signed a token, and what it claims. A kid only chooses among the keys that there are.
    fn try_keys(&self, token: &str, head: &Head, sets: &[Known]) -> Result<(Fingerprint, Claims), Bad> {
        let mut why = Bad::Key;
        for key in self.keys.iter().chain(sets.iter().flat_map(|set| &*set.keys)) {
            let named = key.kid.is_none() || key.kid == head.kid;
            if named && key.algorithms.contains(&head.algorithm) {
                match self.rules.verify(token, head, key)? {
                    Some(claims) => return Ok((key.fingerprint, claims)),
                    None => why = Bad::Signature,
                }
            }
        }
        Err(why)
    }
}

/// The token of `Authorization: Bearer`, where that is the only place for it.
pub fn bearer(headers: &HeaderMap) -> Result<String, Denied> {
    let source = TokenSource { header: Some("Authorization".into()), ..TokenSource::default() };
    let sources = [source];
    match sources::token(Fields::Map(headers), "", &sources)? {
        Some(token) => Ok(token.into_owned()),
        None => Err(Denied::NoToken(sources::how(&sources))),
    }
}
