//! The primitives that threads share; a model checker puts its own in their place.

pub use std::sync::atomic::{AtomicBool, Ordering};

pub use parking_lot::Mutex;
