//! Who may subscribe, and who may publish.

use std::sync::Arc;

use hyper::StatusCode;

use crate::{
    fanout::topics::Topics,
    http::{
        admit::Ask,
        respond::{self, Response},
    },
};

/// Says who is who.
#[derive(Default)]
pub struct Auth {}

/// One whose token was good.
#[derive(Clone, Debug)]
pub struct Identity {
    pub subject: Option<Arc<str>>,
    /// What it may read.
    pub grants: Topics,
}

/// Why one is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    pub status: StatusCode,
    pub error: String,
}

impl Auth {
    /// Who asks; none where nobody has to say.
    #[expect(clippy::unused_async, reason = "keys may have to be fetched")]
    pub async fn subscriber(&self, _: &Ask<'_>) -> Result<Option<Identity>, Denied> {
        Ok(None)
    }
}

impl Denied {
    /// A topic that is not granted.
    pub fn topic(name: &str) -> Self {
        Self { status: StatusCode::FORBIDDEN, error: format!("the token does not grant the topic {name:?}") }
    }

    /// For the metric.
    pub fn reason(&self) -> &'static str {
        if self.status == StatusCode::FORBIDDEN { "forbidden" } else { "unauthorized" }
    }

    pub fn answer(&self) -> Response {
        respond::problem(self.status, &self.error)
    }
}
