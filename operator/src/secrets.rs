//! Looks whether the Secrets that streams read have changed. They are not watched, as that would need the right to see
//! every Secret of the cluster; so each is asked for by name, again and again, and only for its metadata.
//!
//! Those that a user names are looked at every few seconds, as a changed key is to hold soon; those that the operator made
//! itself now and then. However many streams there are, the API server is asked no more than so often: with more Secrets
//! it takes longer to come around.

use std::{collections::HashMap, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt, runtime::reflector::ObjectRef};
use parking_lot::Mutex;
use ssefleet_crds::SseStream;
use tokio::time::sleep;

use crate::trigger::Trigger;

/// Whose Secrets are looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Those that streams name.
    Named,
    /// Those of the operator's own making.
    Own,
}

impl Lane {
    /// How often each is looked at if there are few, and how many looks a second there are at most.
    fn pace(self) -> (Duration, f64) {
        match self {
            Self::Named => (Duration::from_secs(4), 20.0),
            Self::Own => (Duration::from_mins(1), 5.0),
        }
    }

    /// How long a round over so many takes.
    fn round(self, secrets: usize) -> Duration {
        let (least, per_second) = self.pace();
        #[expect(clippy::cast_precision_loss, reason = "no cluster has 2^52 Secrets")]
        let at_that_pace = Duration::from_secs_f64(secrets as f64 / per_second);
        least.max(at_that_pace)
    }
}

/// A Secret as a reconcile saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub lane: Lane,
    pub name: String,
    /// Its resource version; none if it was not there.
    pub version: Option<String>,
}

/// The Secrets of all streams.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<HashMap<ObjectRef<SseStream>, Vec<Seen>>>);

impl Secrets {
    /// Takes note of what a reconcile has read.
    pub fn saw(&self, stream: &SseStream, secrets: Vec<Seen>) {
        self.0.lock().insert(ObjectRef::from_obj(stream), secrets);
    }

    pub fn forget(&self, stream: &ObjectRef<SseStream>) {
        self.0.lock().remove(stream);
    }

    fn of(&self, lane: Lane) -> Vec<(ObjectRef<SseStream>, String)> {
        let known = self.0.lock();
        let named = |(stream, secrets): (&ObjectRef<SseStream>, &Vec<Seen>)| {
            let of_lane = secrets.iter().filter(|secret| secret.lane == lane);
            of_lane.map(|secret| (stream.clone(), secret.name.clone())).collect::<Vec<_>>()
        };
        known.iter().flat_map(named).collect()
    }

    /// Whether this is news; it is only once.
    fn is_news(&self, stream: &ObjectRef<SseStream>, name: &str, version: Option<&str>) -> bool {
        let mut known = self.0.lock();
        let secrets = known.get_mut(stream).into_iter().flatten();
        let mut news = false;
        for seen in secrets.filter(|seen| seen.name == name && seen.version.as_deref() != version) {
            seen.version = version.map(ToOwned::to_owned);
            news = true;
        }
        news
    }
}

/// Looks for ever.
pub(crate) async fn look(secrets: &Secrets, client: &Client, trigger: &Trigger) {
    tokio::join!(look_at(Lane::Named, secrets, client, trigger), look_at(Lane::Own, secrets, client, trigger));
}

async fn look_at(lane: Lane, secrets: &Secrets, client: &Client, trigger: &Trigger) {
    loop {
        let round = secrets.of(lane);
        let pause = lane.round(round.len());
        let Some(pause) = u32::try_from(round.len()).ok().and_then(|count| pause.checked_div(count)) else {
            sleep(pause).await; // there are none
            continue;
        };
        for (stream, name) in round {
            sleep(pause).await;
            let api = Api::<Secret>::namespaced(client.clone(), stream.namespace.as_deref().unwrap_or("default"));
            match api.get_metadata_opt(&name).await {
                Ok(found) => {
                    let version = found.and_then(|found| found.resource_version());
                    if secrets.is_news(&stream, &name, version.as_deref()) {
                        tracing::info!(
                            namespace = stream.namespace,
                            stream = stream.name,
                            secret = name,
                            "a Secret has changed"
                        );
                        trigger.reconcile(stream);
                    }
                }
                // The reconciles tell of it, if it lasts.
                Err(error) => tracing::debug!(%error, secret = name, "can't look at a Secret"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures;

    fn seen(lane: Lane, name: &str, version: Option<&str>) -> Seen {
        Seen { lane, name: name.into(), version: version.map(Into::into) }
    }

    #[test]
    fn what_a_reconcile_saw_is_no_news_and_news_are_told_once() {
        let secrets = Secrets::default();
        let stream = fixtures::stream(fixtures::yaml("{}"));
        let reference = ObjectRef::from_obj(&stream);
        secrets.saw(&stream, vec![seen(Lane::Named, "keys", Some("1")), seen(Lane::Own, "quotes-admin", None)]);
        assert_eq!(secrets.of(Lane::Named), [(reference.clone(), "keys".to_owned())]);
        assert!(!secrets.is_news(&reference, "keys", Some("1")));
        assert!(secrets.is_news(&reference, "keys", Some("2")));
        assert!(!secrets.is_news(&reference, "keys", Some("2")), "the reconcile may not have come to it yet");
        assert!(secrets.is_news(&reference, "keys", None), "it is gone");
        assert!(secrets.is_news(&reference, "quotes-admin", Some("3")));
        secrets.forget(&reference);
        assert!(secrets.of(Lane::Named).is_empty() && !secrets.is_news(&reference, "keys", Some("4")));
    }

    #[test]
    fn many_secrets_take_longer_to_come_around() {
        let seconds = |lane: Lane, secrets| lane.round(secrets).as_secs();
        assert_eq!([0, 1, 80, 2000].map(|secrets| seconds(Lane::Named, secrets)), [4, 4, 4, 100]);
        assert_eq!([0, 300, 3000].map(|secrets| seconds(Lane::Own, secrets)), [60, 60, 600]);
    }
}
