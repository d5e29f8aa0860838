//! Latencies in buckets whose width grows with the value, as HdrHistogram does: 64 to each power of two, so that a
//! quantile is at most 1/64 too high. Several processes' histograms add up to one.

use serde::{Deserialize, Serialize};

/// Counts of values; the unit is the caller's, nanoseconds here.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

/// The buckets that hold something, for the way between processes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sparse {
    pub counts: Vec<(usize, u64)>,
    pub max: u64,
}

/// 2^6 buckets to each power of two.
const BITS: u32 = 6;

impl Histogram {
    pub fn record(&mut self, value: u64) {
        let bucket = bucket(value);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that the part `q` (0 to 1) of all values does not exceed; 0 if there are none.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts fit
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = ((self.total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest(bucket).min(self.max);
            }
        }
        self.max
    }

    pub fn sparse(&self) -> Sparse {
        let counts = self.counts.iter().copied().enumerate().filter(|&(_, count)| count > 0).collect();
        Sparse { counts, max: self.max }
    }

    /// Adds what another process counted.
    pub fn add(&mut self, other: &Sparse) {
        for &(bucket, count) in &other.counts {
            if bucket >= self.counts.len() {
                self.counts.resize(bucket + 1, 0);
            }
            self.counts[bucket] += count;
            self.total += count;
        }
        self.max = self.max.max(other.max);
    }
}

fn bucket(value: u64) -> usize {
    // The power of two above the first 64 values, and the six bits after the leading one.
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    ((shift as usize) << BITS) + usize::try_from(value >> shift).unwrap_or(usize::MAX)
}

/// The highest value that belongs to a bucket.
fn highest(bucket: usize) -> u64 {
    let shift = (bucket >> BITS).saturating_sub(1);
    let first = (bucket - (shift << BITS)) as u64;
    ((first + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_a_sixty_fourth_too_high() {
        for value in [0, 1, 63, 64, 127, 128, 129, 1_000, 123_456_789, 1 << 40] {
            let high = highest(bucket(value));
            assert!(high >= value && high - value <= value / 64, "{value} is told as {high}");
        }
    }

    #[test]
    fn buckets_are_without_gaps() {
        let buckets: Vec<usize> = (0..100_000).map(bucket).collect();
        assert!(buckets.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1));
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        (1..=100).for_each(|value| histogram.record(value));
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|q| histogram.quantile(q)), [1, 50, 99, 100]);
        assert_eq!(histogram.max(), 100);
    }

    #[test]
    fn what_two_processes_counted_adds_up() {
        let (mut all, mut left, mut right) = (Histogram::default(), Histogram::default(), Histogram::default());
        for value in 0..5_000 {
            all.record(value * 977);
            if value % 3 == 0 { left.record(value * 977) } else { right.record(value * 977) }
        }
        let mut sum = Histogram::default();
        sum.add(&left.sparse());
        sum.add(&right.sparse());
        assert_eq!((sum.counts, sum.total, sum.max), (all.counts, all.total, all.max));
    }
}
