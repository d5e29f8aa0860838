//! What can go wrong, and with which requests.

use std::{sync::Arc, time::Duration};

use super::{Seen, Verb};

/// What happens to a request.
#[derive(Clone)]
pub enum What {
    /// It is answered with this status, and `Retry-After` in seconds, and does not reach the API server.
    Status(u16, Option<u64>),
    /// The connection breaks before the API server hears of it.
    Break,
    /// The API server does as it is asked, and the connection breaks before anyone is told.
    LoseAnswer,
    /// No answer ever comes.
    Hang,
    /// It is passed on after so long.
    Slow(Duration),
    /// The API server does as it is asked; then this happens, and the connection breaks.
    Then(Arc<dyn Fn() + Send + Sync>),
}

/// Something that happens to requests of a kind.
pub struct Fault {
    what: What,
    fits: Box<dyn Fn(&Seen) -> bool + Send>,
    /// How many requests are let by before, and how many it happens to.
    skip: usize,
    times: usize,
}

impl Fault {
    /// To every request for which `fits` holds.
    pub fn always(what: What, fits: impl Fn(&Seen) -> bool + Send + 'static) -> Self {
        Self { what, fits: Box::new(fits), skip: 0, times: usize::MAX }
    }

    /// To this many of them.
    pub fn times(times: usize, what: What, fits: impl Fn(&Seen) -> bool + Send + 'static) -> Self {
        Self { times, ..Self::always(what, fits) }
    }

    /// To the `n`th write, counted from one.
    pub fn nth_write(n: usize, what: What) -> Self {
        Self { skip: n - 1, ..Self::times(1, what, Seen::is_write) }
    }

    pub(super) fn takes(&mut self, seen: &Seen) -> Option<What> {
        if self.times == 0 || !(self.fits)(seen) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.what.clone())
    }
}

/// For [`Fault::times`]: requests with this verb for things of this kind, as in `deployments`.
pub fn on(verb: Verb, resource: &'static str) -> impl Fn(&Seen) -> bool + Send + 'static {
    move |seen| seen.verb == verb && seen.resource == resource
}
