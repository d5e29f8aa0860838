//! When to look at a connection next: a timing wheel of one slot a tick. Whoever is due is looked at once and
//! put back where it is due next, so a node with 100,000 quiet connections does nothing in between.

use super::{clock::Tick, index::Key};

/// Further ahead than this, 205 s, nobody is put: who is due later is looked at in between, to no effect.
const SLOTS: u32 = 2048;

/// Keys by the tick at which they are due.
pub struct Wheel {
    slots: Vec<Vec<Key>>,
    /// All before it have been taken.
    now: Tick,
    len: usize,
}

impl Wheel {
    pub fn new(now: Tick) -> Self {
        Self { slots: vec![Vec::new(); SLOTS as usize], now, len: 0 }
    }

    /// Whoever is due already comes with the next tick.
    pub fn put(&mut self, key: Key, due: Tick) {
        let due = due.0.clamp(self.now.0 + 1, self.now.0 + SLOTS - 1);
        self.slots[(due % SLOTS) as usize].push(key);
        self.len += 1;
    }

    /// Those that are due up to now.
    pub fn take(&mut self, now: Tick, due: &mut Vec<Key>) {
        while self.now < now {
            self.now = self.now.after(1);
            let slot = &mut self.slots[(self.now.0 % SLOTS) as usize];
            self.len -= slot.len();
            due.append(slot);
            // What a wave of connections has once needed is not kept for ever.
            slot.shrink_to(64);
        }
    }

    /// When to look next, if at all.
    pub fn next(&self) -> Option<Tick> {
        if self.len == 0 {
            return None;
        }
        (1..=SLOTS).map(|ahead| self.now.after(ahead)).find(|tick| !self.slots[(tick.0 % SLOTS) as usize].is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(n: u32) -> Key {
        Key { slot: n, generation: 0 }
    }

    proptest! {
        /// Everyone comes once, and on the tick for which it was put, however ticks are skipped.
        #[test]
        fn everyone_comes_when_due(dues in proptest::collection::vec(1..SLOTS - 1, 1..50), step in 1..300_u32) {
            let mut wheel = Wheel::new(Tick(5));
            for (n, due) in (0..).zip(&dues) {
                wheel.put(key(n), Tick(5 + due));
            }
            let mut came = Vec::new();
            let mut now = Tick(5);
            while let Some(next) = wheel.next() {
                prop_assert!(next > now);
                now = now.after(step);
                let mut due = Vec::new();
                wheel.take(now, &mut due);
                prop_assert_eq!(due.is_empty(), next > now);
                for key in due {
                    let at = 5 + dues[key.slot as usize];
                    prop_assert!(at <= now.0 && at + step > now.0);
                    came.push(key.slot);
                }
            }
            came.sort_unstable();
            prop_assert_eq!(came, (0..u32::try_from(dues.len()).unwrap()).collect::<Vec<_>>());
        }
    }
}
