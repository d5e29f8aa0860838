//! Failing in a sentence that says what was tried.

use std::fmt::Display;

/// What must succeed for the test to go on.
pub trait Must<T> {
    /// The value, or a panic with "could not `what`" and the cause.
    fn must(self, what: impl Display) -> T;
}

impl<T, E: Display> Must<T> for Result<T, E> {
    #[track_caller]
    fn must(self, what: impl Display) -> T {
        match self {
            Ok(value) => value,
            Err(cause) => panic!("could not {what}: {cause}"),
        }
    }
}

impl<T> Must<T> for Option<T> {
    #[track_caller]
    fn must(self, what: impl Display) -> T {
        match self {
            Some(value) => value,
            None => panic!("could not {what}: there is none"),
        }
    }
}
