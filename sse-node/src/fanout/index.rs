//! Who wants a topic: what an event costs depends on those who get it, not on all who are connected.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::topics::Topics;

/// Which connection of a shard; one that has gone is told by its generation from one that took its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub slot: u32,
    pub generation: u32,
}

impl From<Key> for u64 {
    fn from(key: Key) -> u64 {
        u64::from(key.slot) << 32 | u64::from(key.generation)
    }
}

impl From<u64> for Key {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    fn from(key: u64) -> Key {
        Key { slot: (key >> 32) as u32, generation: key as u32 }
    }
}

/// Subscribers by what they want. One that wants a topic in two ways is listed twice.
#[derive(Default)]
pub struct Index {
    all: List,
    exact: HashMap<Arc<str>, List>,
    prefixes: HashMap<Arc<str>, List>,
    /// How long the prefixes are, and how many of each length.
    lengths: BTreeMap<usize, usize>,
}

/// Those who leave are counted, and taken out when they are half of it: leaving costs as little as coming.
#[derive(Default)]
struct List {
    keys: Vec<Key>,
    gone: usize,
}

impl List {
    /// True when nobody is left.
    fn leave(&mut self, is_there: &impl Fn(Key) -> bool) -> bool {
        self.gone += 1;
        if self.gone * 2 > self.keys.len() {
            self.keys.retain(|key| is_there(*key));
            self.keys.shrink_to(self.keys.len() * 2);
            self.gone = 0;
        }
        self.keys.is_empty()
    }
}

impl Index {
    pub fn join(&mut self, key: Key, topics: &Topics) {
        let Topics::Some { exact, prefixes } = topics else {
            self.all.keys.push(key);
            return;
        };
        for topic in exact {
            self.exact.entry(topic.clone()).or_default().keys.push(key);
        }
        for prefix in prefixes {
            if !self.prefixes.contains_key(prefix) {
                *self.lengths.entry(prefix.len()).or_default() += 1;
            }
            self.prefixes.entry(prefix.clone()).or_default().keys.push(key);
        }
    }

    /// Takes out one that is no longer there, by the reckoning of `is_there`.
    pub fn leave(&mut self, topics: &Topics, is_there: impl Fn(Key) -> bool) {
        let Topics::Some { exact, prefixes } = topics else {
            self.all.leave(&is_there);
            return;
        };
        for topic in exact {
            if self.exact.get_mut(topic).is_some_and(|list| list.leave(&is_there)) {
                self.exact.remove(topic);
            }
        }
        for prefix in prefixes {
            if self.prefixes.get_mut(prefix).is_some_and(|list| list.leave(&is_there)) {
                self.prefixes.remove(prefix);
                if let Some(count) = self.lengths.get_mut(&prefix.len()) {
                    *count -= 1;
                }
                self.lengths.retain(|_, count| *count > 0);
            }
        }
    }

    /// Those who want a topic; some may have gone, and one that wants it in two ways comes twice.
    pub fn wanting<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = Key> + 'a {
        let exact = self.exact.get(topic);
        let prefixes = self.lengths.range(..=topic.len()).filter_map(|(length, _)| {
            let prefix = topic.is_char_boundary(*length).then(|| &topic[..*length])?;
            self.prefixes.get(prefix)
        });
        [&self.all].into_iter().chain(exact).chain(prefixes).flat_map(|list| list.keys.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn topic() -> impl Strategy<Value = String> {
        "[ab]{1,3}\\*?|é\\*?"
    }

    proptest! {
        /// The index tells the same as asking everyone, whoever came and went before.
        #[test]
        fn it_is_as_if_everyone_were_asked(
            steps in proptest::collection::vec((proptest::collection::vec(topic(), 0..4), any::<bool>()), 1..60),
            asked in proptest::collection::vec("[ab]{1,4}|é|éa", 1..10),
        ) {
            let mut index = Index::default();
            let mut there: Vec<(Key, Topics)> = Vec::new();
            for (n, (names, leave)) in (0..).zip(steps) {
                let (key, topics) = (Key { slot: n, generation: n }, Topics::of(names).unwrap());
                index.join(key, &topics);
                there.push((key, topics));
                if leave {
                    let (_, topics) = there.swap_remove(n as usize % there.len());
                    index.leave(&topics, |key| there.iter().any(|(other, _)| *other == key));
                }
                for topic in &asked {
                    let told: BTreeSet<u64> = index
                        .wanting(topic)
                        .filter(|key| there.iter().any(|(other, _)| other == key))
                        .map(u64::from)
                        .collect();
                    let want: BTreeSet<u64> =
                        there.iter().filter(|(_, topics)| topics.want(topic)).map(|(key, _)| u64::from(*key)).collect();
                    prop_assert_eq!(told, want);
                }
            }
            for (_, topics) in std::mem::take(&mut there) {
                index.leave(&topics, |_| false);
            }
            prop_assert!(index.exact.is_empty() && index.prefixes.is_empty() && index.lengths.is_empty());
        }
    }
}
