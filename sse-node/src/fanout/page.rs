//! Older events than the ring has, as they are asked for and found.

use std::sync::Arc;

use super::ring::Entry;
use crate::{broker::Extent, event::Position};

/// Events of a page. A page begins at a multiple of it, so that those who are near each other need the same.
pub const PAGE: u64 = 256;

/// What someone who reads the log needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// The events after a position, which is the beginning of a page.
    Page(Position),
    /// What the log holds: a cursor is of another one.
    Extent,
}

impl Need {
    /// The page that goes on after a cursor.
    pub fn after(cursor: Position) -> Self {
        Self::Page(Position { seq: cursor.seq / PAGE * PAGE, ..cursor })
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Found {
    Page(Arc<Page>),
    Extent(Extent),
    /// The broker does not answer; it is asked again later.
    Away,
}

/// Events in their order, without holes but for what the log has let go of at the beginning.
#[derive(Debug)]
pub struct Page {
    pub entries: Vec<Entry>,
}

impl Page {
    /// What comes after a cursor.
    pub fn after(&self, cursor: Position) -> &[Entry] {
        &self.entries[self.entries.partition_point(|entry| entry.position <= cursor)..]
    }
}
