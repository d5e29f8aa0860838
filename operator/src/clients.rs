//! The two ways to speak to the API server: questions, which must be answered soon, and watches, which may be silent for
//! minutes. Without a limit, a server that takes a connection and never answers would hold a reconcile for ever.

use std::time::Duration;

use kube::{Client, Config};

/// Longer than an admission webhook may take, which is 30 s at most; after 60 s the server itself gives up.
/// <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#timeouts>
const ANSWER: Duration = Duration::from_secs(35);
/// Longer than a watch lasts (290 s), in which bookmarks come about every minute.
const SILENCE: Duration = Duration::from_mins(5);

/// Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    /// For all that is asked and written.
    pub ask: Client,
    /// For watches, and the lists that they begin with.
    pub watch: Client,
}

impl Clients {
    pub fn new(config: &Config) -> Result<Self, kube::Error> {
        let within = |limit| {
            let mut config = config.clone();
            config.read_timeout = Some(limit);
            // Counted from the request on, not from when its pooled connection fell silent.
            config.reset_reader_on_write = true;
            Client::try_from(config)
        };
        Ok(Self { ask: within(ANSWER)?, watch: within(SILENCE)? })
    }
}
