//! Revocations, in a stream of their own beside the log: an entry each, its id the time by Redis' clock. Short of its
//! own time an entry goes only when none may last that long any more.

use std::sync::LazyLock;

use redis::{Script, Value, from_redis_value, streams::StreamRangeReply};

use super::{Redis, broken, entry::not_ours};
use crate::broker::{
    BrokerError,
    revocation::{Found, LONGEST, MOST, Mark, Revocation, Revoked},
};

static REVOKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("revoke.lua")));
static REVOKED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("revoked.lua")));

impl Redis {
    pub(super) async fn add_revocation(&self, revocation: &Revocation) -> Result<(), BrokerError> {
        let mut script = REVOKE.key(self.beside("revoked"));
        script.arg(LONGEST.as_millis().to_string()).arg(MOST);
        for word in revocation.revoked.words() {
            script.arg(word);
        }
        script.arg(revocation.until);
        let added: Option<String> = self.run(async |connection| script.invoke_async(connection).await).await?;
        added.map(drop).ok_or(BrokerError::ManyRevocations)
    }

    pub(super) async fn revocations_after(&self, mark: &Mark) -> Result<Found, BrokerError> {
        let key = self.beside("revoked");
        let mut script = REVOKED.key(&key);
        script.arg(&mark.0);
        let (lost, entries): (bool, Value) = self.run(async |connection| script.invoke_async(connection).await).await?;
        let entries: StreamRangeReply = from_redis_value(entries).map_err(|error| broken(error.into()))?;
        let mut found = Found { mark: if lost { Mark::default() } else { mark.clone() }, lost, ..Found::default() };
        for entry in entries.ids {
            let word = |name: &str| {
                entry.get::<String>(name).ok_or_else(|| not_ours(&key, format!("{} lacks {name}", entry.id)))
            };
            if let Some(revoked) = Revoked::of(&word("k")?, &word("n")?, &word("a")?) {
                let until = word("u")?;
                let until = until.parse().map_err(|_| not_ours(&key, format!("{until:?} is no time")))?;
                found.revocations.push(Revocation { revoked, until });
            }
            found.mark = Mark(entry.id);
        }
        Ok(found)
    }
}
