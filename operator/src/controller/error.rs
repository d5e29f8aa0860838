//! Why a reconcile failed: the errors of its steps, a label for the metric, and what a user can do about it.

use super::{apply, blocked::Blocked, prune, resolve, status, validate};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Resolve(#[from] resolve::Error),
    #[error(transparent)]
    Validate(#[from] validate::Error),
    #[error(transparent)]
    Apply(#[from] apply::Error),
    #[error(transparent)]
    Prune(#[from] prune::Error),
    #[error(transparent)]
    Status(#[from] status::Error),
    #[error("the operator is stopping")]
    Stopping,
}

impl Error {
    pub fn metric_label(&self) -> &'static str {
        match self {
            Self::Resolve(error) => error.metric_label(),
            Self::Validate(error) => error.metric_label(),
            Self::Apply(error) => error.metric_label(),
            Self::Prune(error) => error.metric_label(),
            Self::Status(error) => error.metric_label(),
            Self::Stopping => "stopping",
        }
    }

    /// `None`: it passes by itself, so the status need not speak of it.
    pub(super) fn blocked(&self) -> Option<Blocked> {
        match self {
            Self::Resolve(error) => error.blocked(),
            Self::Validate(error) => Some(error.blocked()),
            Self::Apply(error) => error.blocked(),
            Self::Prune(_) | Self::Status(_) | Self::Stopping => None,
        }
    }
}
