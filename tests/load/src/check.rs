//! What one connection must see: each number once, in order. A lost, a repeated and a late event are told apart.
//!
//! The last 128 numbers are a bitmap, so a number that comes late is late, not lost and then repeated. What is
//! still missing when the window has passed, or at the end, is lost.

use serde::{Deserialize, Serialize};

/// What went wrong, over all connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    pub lost: u64,
    pub duplicated: u64,
    pub out_of_order: u64,
    /// An id that is not above the one before.
    pub ids_not_increasing: u64,
}

/// One connection's numbers.
#[derive(Clone, Copy, Debug)]
pub struct Sequence {
    /// The lowest number that has not come.
    next: u64,
    /// Which of the numbers from `next` have come: bit 0 is `next` itself, so it is never set.
    ahead: u128,
    /// Whatever number comes first, nothing is missing before it.
    anywhere: bool,
}

const WINDOW: u64 = u128::BITS as u64;

impl Sequence {
    /// Begins at `first`; at whatever comes if it is 0.
    pub fn from(first: u64) -> Self {
        Self { next: first, ahead: 0, anywhere: first == 0 }
    }

    /// The log has lost events and said so: what comes next is right.
    pub fn forget(&mut self) {
        self.anywhere = true;
    }

    /// All numbers below have come or are known to be lost.
    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn take(&mut self, n: u64, faults: &mut Faults) {
        if self.anywhere {
            *self = Self { next: n, ahead: 0, anywhere: false };
        }
        if n == self.next && self.ahead == 0 {
            self.next += 1;
            return;
        }
        if n < self.next {
            faults.duplicated += 1;
            return;
        }
        while n - self.next >= WINDOW {
            if self.ahead == 0 {
                let passed = n - self.next - (WINDOW - 1);
                faults.lost += passed;
                self.next += passed;
            } else {
                self.slide(faults);
            }
        }
        let bit = 1_u128 << (n - self.next);
        if self.ahead & bit != 0 {
            faults.duplicated += 1;
            return;
        }
        // Later numbers are here already, so this one is late.
        if self.ahead >= bit {
            faults.out_of_order += 1;
        }
        self.ahead |= bit;
        self.pass();
    }

    /// What is missing up to `last`, of a stream that has ended.
    pub fn end(mut self, last: u64, faults: &mut Faults) {
        while self.ahead != 0 && self.next <= last {
            self.slide(faults);
        }
        if !self.anywhere {
            faults.lost += (last + 1).saturating_sub(self.next);
        }
    }

    /// Gives the next number up; later ones have come.
    fn slide(&mut self, faults: &mut Faults) {
        faults.lost += 1;
        self.ahead |= 1;
        self.pass();
    }

    /// Passes what has come.
    fn pass(&mut self) {
        let come = self.ahead.trailing_ones();
        self.next += u64::from(come);
        self.ahead = self.ahead.checked_shr(come).unwrap_or(0);
    }
}

/// Where an id stands: the text before its last `-`, and the number after. None for ids of another shape.
pub fn position(id: &[u8]) -> Option<(&[u8], u64)> {
    let dash = memchr::memrchr(b'-', id)?;
    Some((&id[..dash], std::str::from_utf8(&id[dash + 1..]).ok()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(numbers: impl IntoIterator<Item = u64>, last: u64) -> (u64, u64, u64) {
        let (mut sequence, mut faults) = (Sequence::from(1), Faults::default());
        numbers.into_iter().for_each(|n| sequence.take(n, &mut faults));
        sequence.end(last, &mut faults);
        (faults.lost, faults.duplicated, faults.out_of_order)
    }

    #[test]
    fn a_dense_sequence_has_no_faults() {
        assert_eq!(faults(1..=10_000, 10_000), (0, 0, 0));
    }

    #[test]
    fn a_lost_event_is_seen_in_the_middle_at_the_beginning_and_at_the_end() {
        assert_eq!(faults((1..=1_000).filter(|&n| n != 500), 1_000), (1, 0, 0));
        assert_eq!(faults(2..=1_000, 1_000), (1, 0, 0));
        assert_eq!(faults(1..=999, 1_000), (1, 0, 0));
        assert_eq!(faults([], 1_000), (1_000, 0, 0));
        assert_eq!(faults((1..=10).chain(991..=1_000), 1_000), (980, 0, 0));
        assert_eq!(faults((1..=1_000).filter(|n| n % 2 == 0), 1_000), (500, 0, 0));
    }

    #[test]
    fn a_repeated_event_is_seen() {
        assert_eq!(faults([1, 2, 2, 3], 3), (0, 1, 0));
        assert_eq!(faults([1, 3, 3, 2], 3), (0, 1, 1));
        assert_eq!(faults((1..=300).chain([1]), 300), (0, 1, 0));
    }

    #[test]
    fn a_late_event_is_late_and_not_lost() {
        assert_eq!(faults([1, 3, 2, 4], 4), (0, 0, 1));
        assert_eq!(faults((2..=128).chain([1]), 128), (0, 0, 1));
        // Given up by then, so it is one too many.
        assert_eq!(faults((2..=500).chain([1]), 500), (1, 1, 0));
    }

    #[test]
    fn after_a_gap_any_number_is_right() {
        let (mut sequence, mut faults) = (Sequence::from(0), Faults::default());
        sequence.take(41, &mut faults);
        sequence.forget();
        sequence.take(100, &mut faults);
        sequence.end(100, &mut faults);
        assert_eq!((faults, sequence.next()), (Faults::default(), 101));
    }

    #[test]
    fn ids_are_an_epoch_and_a_number() {
        assert_eq!(position(b"mws3r2tc-41"), Some((&b"mws3r2tc"[..], 41)));
        assert_eq!(position(b"1700000000:0"), None);
    }
}
