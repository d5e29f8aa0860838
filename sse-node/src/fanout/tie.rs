//! What a subscriber is tied to besides its socket: who it is, and what it counts against. Only those have one
//! who had to show a token or are counted, so that others do not pay for it.

use super::lapse::Lapse;
use crate::{
    auth::Identity,
    limits::{Lease, Pass},
    metrics::Closed,
};

/// Who a subscriber is, and what it counts against.
#[derive(Default)]
pub struct Tie {
    pub identity: Option<Identity>,
    /// When its token ends, if it does.
    pub lapse: Option<Lapse>,
    /// Free again when the subscriber has gone.
    pub lease: Option<Lease>,
    /// Given when the fleet itself ends the stream.
    pub pass: Option<Pass>,
}

impl Tie {
    /// None if there is nothing to hold.
    pub fn new(identity: Option<Identity>, lease: Option<Lease>, pass: Option<Pass>) -> Option<Box<Self>> {
        let any = identity.is_some() || lease.is_some() || pass.is_some();
        any.then(|| Box::new(Self { identity, lapse: None, lease, pass }))
    }

    /// The stream is about to end.
    pub fn ending(&mut self, why: Closed) {
        if let (Closed::Drained | Closed::Cut | Closed::MaxAge | Closed::Shed, Some(pass)) = (why, self.pass.take()) {
            pass.give();
        }
    }
}
