//! What this node knows of tokens that were revoked: by their `jti`, or all of a `sub` that were issued before. The
//! log's Redis has it for all nodes; this copy holds while Redis is away.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::RwLock;

use super::Identity;
use crate::broker::revocation::{Revocation, Revoked};

/// Revocations, in seconds since 1970.
#[derive(Default)]
pub struct Revocations(RwLock<Lists>);

#[derive(Default)]
struct Lists {
    /// Until when.
    tokens: HashMap<Arc<str>, u64>,
    /// Issued up to when, and until when.
    subjects: HashMap<Arc<str>, (u64, u64)>,
    /// When the last one came.
    news: Option<Instant>,
}

impl Revocations {
    /// Takes some in.
    pub fn add<'a>(&self, revocations: impl IntoIterator<Item = &'a Revocation>) {
        let mut lists = self.0.write();
        let mut news = false;
        for Revocation { revoked, until } in revocations {
            match revoked {
                Revoked::Token(jti) => {
                    let known = lists.tokens.entry(jti.as_str().into()).or_default();
                    news |= *known < *until;
                    *known = (*known).max(*until);
                }
                Revoked::Subject(subject, at) => {
                    let known = lists.subjects.entry(subject.as_str().into()).or_default();
                    news |= *known < (*at, *until);
                    *known = (known.0.max(*at), known.1.max(*until));
                }
            }
        }
        if news {
            lists.news = Some(Instant::now());
        }
    }

    /// Whether one came within a time.
    pub fn has_news(&self, within: Duration) -> bool {
        self.0.read().news.is_some_and(|news| news.elapsed() < within)
    }

    /// Whether a token was revoked.
    pub fn has(&self, identity: &Identity) -> bool {
        let lists = self.0.read();
        if lists.tokens.is_empty() && lists.subjects.is_empty() {
            return false;
        }
        let now = now();
        let token = identity.jti.as_ref().and_then(|jti| lists.tokens.get(jti));
        let subject = identity.subject.as_ref().and_then(|subject| lists.subjects.get(subject));
        // One that does not say when it was issued may have been before.
        token.is_some_and(|until| *until > now)
            || subject.is_some_and(|(at, until)| *until > now && identity.issued.is_none_or(|issued| issued <= *at))
    }

    /// All of them.
    pub fn all(&self) -> Vec<Revocation> {
        let lists = self.0.read();
        let tokens = lists.tokens.iter().map(|(jti, until)| (Revoked::Token(jti.to_string()), *until));
        let subjects = lists.subjects.iter().map(|(sub, (at, until))| (Revoked::Subject(sub.to_string(), *at), *until));
        tokens.chain(subjects).map(|(revoked, until)| Revocation { revoked, until }).collect()
    }

    /// Lets go of those that are over, and says how many are left.
    pub fn trim(&self) -> usize {
        let now = now();
        let mut lists = self.0.write();
        lists.tokens.retain(|_, until| *until > now);
        lists.subjects.retain(|_, (_, until)| *until > now);
        lists.tokens.len() + lists.subjects.len()
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(jti: Option<&str>, subject: Option<&str>, issued: Option<u64>) -> Identity {
        let mut identity = Identity::nobody();
        identity.jti = jti.map(Into::into);
        identity.subject = subject.map(Into::into);
        identity.issued = issued;
        identity
    }

    #[test]
    fn a_token_is_revoked_by_its_name_or_with_all_before_it_of_its_subject() {
        let (list, now) = (Revocations::default(), now());
        let token = |jti: &str, until| Revocation { revoked: Revoked::Token(jti.into()), until };
        let subject = |sub: &str, at, until| Revocation { revoked: Revoked::Subject(sub.into(), at), until };
        list.add(&[token("a", now + 60), token("over", now), subject("ann", now - 10, now + 60)]);
        list.add(&[token("a", now + 30), subject("ann", now - 20, now + 30)]);
        for (jti, sub, issued, revoked) in [
            (Some("a"), None, None, true),
            (Some("b"), Some("bob"), Some(0), false),
            (Some("over"), None, None, false),
            (None, Some("a"), None, false),
            (None, Some("ann"), None, true),
            (None, Some("ann"), Some(now - 10), true),
            (None, Some("ann"), Some(now - 9), false),
        ] {
            assert_eq!(list.has(&identity(jti, sub, issued)), revoked, "{jti:?} {sub:?} {issued:?}");
        }
        assert_eq!(list.trim(), 2);
    }
}
