//! A map that holds at most so many: those that were used the longest ago go.
//!
//! In two halves, as that costs nothing: when the newer one is full, the older one is thrown away and the newer one
//! grows old; what is used is carried over into the newer one.

use std::{collections::HashMap, hash::Hash};

/// At least half of `most` are kept, those that were used last.
pub struct Aging<K, V> {
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash, V> Aging<K, V> {
    pub fn new(most: usize) -> Self {
        Self { newer: HashMap::new(), older: HashMap::new(), half: (most / 2).max(1) }
    }

    /// What is there, if it is.
    pub fn get(&mut self, key: K) -> Option<&mut V> {
        if let Some(value) = self.older.remove(&key) {
            return Some(self.renew(key, value));
        }
        self.newer.get_mut(&key)
    }

    /// What is there, or something new.
    pub fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let older = self.older.remove(&key);
        if older.is_none() && self.newer.contains_key(&key) {
            return self.newer.entry(key).or_default();
        }
        self.renew(key, older.unwrap_or_default())
    }

    pub fn remove(&mut self, key: &K) {
        self.newer.remove(key);
        self.older.remove(key);
    }

    fn renew(&mut self, key: K, value: V) -> &mut V {
        if self.newer.len() >= self.half {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.entry(key).insert_entry(value).into_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_used_last_are_kept_and_no_more_than_so_many() {
        let mut map: Aging<u32, u32> = Aging::new(100);
        for n in 0..10_000 {
            *map.entry(n) += n;
            *map.entry(0) += 1;
            assert!(map.newer.len() + map.older.len() <= 100);
        }
        assert_eq!(map.get(0), Some(&mut 10_000), "it was used all the time");
        assert_eq!(map.get(9_950), Some(&mut 9_950));
        assert_eq!(map.get(9_000), None);
        map.remove(&0);
        assert_eq!(map.get(0), None);
    }
}
