//! One whose token was good: what is remembered of it for as long as its stream lasts.

use std::{sync::Arc, time::Duration};

use super::{keys::Fingerprint, revoked::now, token::Claims};
use crate::fanout::topics::Topics;

/// One whose token was good.
#[derive(Clone, Debug)]
pub struct Identity {
    pub subject: Option<Arc<str>>,
    /// What it may read, or publish to.
    pub grants: Topics,
    pub(super) jti: Option<Arc<str>>,
    /// When the token was issued, in seconds since 1970.
    pub(super) issued: Option<u64>,
    /// What the token was signed with.
    pub(super) key: Fingerprint,
    /// How much longer the token was good, when it was shown. None: without end.
    pub lasts: Option<Duration>,
}

impl Identity {
    pub(super) fn new(key: Fingerprint, claims: Claims, leeway: u64) -> Self {
        let text = |text: Option<String>| text.map(Arc::from);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` keeps to what there is")]
        let seconds = |time: f64| time as u64;
        let ends = claims.expires.map(|expires| seconds(expires.ceil()).saturating_add(leeway));
        Self {
            subject: text(claims.subject),
            grants: claims.grants,
            jti: text(claims.jti),
            issued: claims.issued.map(seconds),
            key,
            lasts: ends.map(|ends| Duration::from_secs(ends.saturating_sub(now()))),
        }
    }

    #[cfg(test)]
    pub(super) fn nobody() -> Self {
        Self { subject: None, grants: Topics::All, jti: None, issued: None, key: Fingerprint::of("", &[]), lasts: None }
    }
}
