//! Who has which streams on this node.

use std::collections::HashMap;

use crate::limits::key::Key;

#[derive(Default)]
pub struct Streams {
    members: HashMap<u64, Key>,
    counts: HashMap<Key, u32>,
}

impl Streams {
    pub fn of(&self, key: Key) -> u32 {
        self.counts.get(&key).copied().unwrap_or_default()
    }

    /// Once more does no harm.
    pub fn join(&mut self, member: u64, key: Key) {
        if self.members.insert(member, key).is_none() {
            *self.counts.entry(key).or_default() += 1;
        }
    }

    pub fn leave(&mut self, member: u64) {
        let Some(key) = self.members.remove(&member) else { return };
        if let Some(count) = self.counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
    }

    pub fn has(&self, member: u64) -> bool {
        self.members.contains_key(&member)
    }

    pub fn all(&self) -> Vec<(u64, Key)> {
        self.members.iter().map(|(member, key)| (*member, *key)).collect()
    }
}
