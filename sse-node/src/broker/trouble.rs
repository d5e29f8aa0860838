//! What is wrong with a broker: which part of it fails, and a sentence for whoever runs the fleet.

use std::fmt;

use ssefleet_crds::part::Part;

/// A part that fails, and how.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub part: Part,
    pub message: String,
}

impl Trouble {
    pub fn new(part: Part, message: impl Into<String>) -> Self {
        Self { part, message: message.into() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
