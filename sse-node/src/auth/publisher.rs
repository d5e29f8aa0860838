//! One who publishes, and what it may publish to.

use std::time::Instant;

use super::{denied::Denied, identity::Identity};

/// One who publishes.
pub enum Publisher {
    /// Where nobody has to say who they are.
    Anyone,
    /// One who showed a token of the Secret.
    Holder(String),
    /// One whose JSON Web Token was good, and until when it is.
    Known(Identity, Option<Instant>),
}

impl Publisher {
    pub(super) fn known(identity: Identity) -> Self {
        let until = identity.lasts.and_then(|lasts| Instant::now().checked_add(lasts));
        Self::Known(identity, until)
    }

    pub fn identity(&self) -> Option<&Identity> {
        if let Self::Known(identity, _) = self { Some(identity) } else { None }
    }

    /// Whether it may publish to a topic.
    pub fn may(&self, topic: &str) -> Result<(), Denied> {
        match self.identity() {
            Some(identity) if !identity.grants.want(topic) => Err(Denied::topic(topic)),
            _ => Ok(()),
        }
    }
}
