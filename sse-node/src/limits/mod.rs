//! How often one may come, and how many streams one may have at a time.

use crate::{
    auth::Identity,
    http::{admit::Ask, cors::Added, respond::Response},
};

/// Counts.
#[derive(Default)]
pub struct Limits {}

/// One who is within all limits.
#[derive(Default)]
pub struct Counted {
    /// What the answer says of the limits.
    pub fields: Added,
    pub lease: Option<Lease>,
    pub pass: Option<Pass>,
}

/// A place among the streams that one may have at a time; free again when it is dropped.
pub struct Lease {}

/// Lets one come back uncounted, when the fleet itself ends a stream.
pub struct Pass {}

/// One who is over a limit.
pub enum Limited {}

impl Limits {
    /// Counts one who wants to subscribe.
    #[expect(clippy::unused_async, reason = "Redis counts")]
    pub async fn subscriber(&self, _: &Ask<'_>, _: Option<&Identity>) -> Result<Counted, Limited> {
        Ok(Counted::default())
    }
}

impl Pass {
    /// The stream is ended by the fleet.
    pub fn give(self) {}
}

impl Limited {
    /// For the metric.
    pub fn reason(&self) -> &'static str {
        match *self {}
    }

    pub fn answer(&self, _: &Ask<'_>) -> Response {
        match *self {}
    }
}
