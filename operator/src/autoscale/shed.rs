//! Who lets go of how many, so that nodes that were added get their share. Only what is more than the mean goes, in
//! rounds: those who come back are spread by whatever is in front of the nodes, over all of them, so that some come back
//! to where they were. A round that finds nobody with more than chance brings is the last.

use std::time::Duration;

/// What a node is asked to let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess<N> {
    pub node: N,
    pub connections: u64,
}

/// What each node is to let go, of so many that it has.
pub fn excess<N: Copy>(nodes: &[(N, u64)], over_mean_percent: u32) -> Vec<Excess<N>> {
    let Some(count) = u64::try_from(nodes.len()).ok().filter(|count| *count > 0) else { return Vec::new() };
    let mean = nodes.iter().map(|(_, connections)| connections).sum::<u64>().div_ceil(count);
    let most = mean + (mean * u64::from(over_mean_percent) / 100).max(by_chance(mean));
    let over = nodes.iter().filter(|(_, connections)| *connections > most);
    over.map(|(node, connections)| Excess { node: *node, connections: connections - mean }).collect()
}

/// Two standard deviations of what chance gives a node, roughly: less than that is no lack of balance.
fn by_chance(mean: u64) -> u64 {
    2 * mean.isqrt() + 1
}

/// When it is known what a round has brought: the last stream has ended, at a rate that all nodes keep together, and its
/// client, who was told to come back after `retry` ±50 % as it came and ±50 % of that as it went, is back.
pub fn lasts<N>(round: &[Excess<N>], per_second: u32, retry: Duration) -> Duration {
    let connections = round.iter().map(|node| node.connections).sum::<u64>();
    Duration::from_secs(connections.div_ceil(per_second.max(1).into())) + retry.mul_f64(2.25)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_more_than_the_mean_goes() {
        let round = excess(&[("a", 300), ("b", 0), ("c", 0)], 20);
        assert_eq!(round, [Excess { node: "a", connections: 200 }]);
        assert_eq!(lasts(&round, 50, Duration::from_secs(4)), Duration::from_secs(13));
        assert_eq!(excess(&[(1, 500), (2, 400), (3, 0), (4, 0)], 20).len(), 2);
        assert!(excess(&[("a", 121), ("b", 90), ("c", 89)], 20).is_empty(), "chance brings as much");
        assert!(excess(&[("a", 4), ("b", 1)], 1).is_empty(), "of few, chance brings a larger part");
        assert!(excess::<u8>(&[], 20).is_empty());
    }

    proptest! {
        /// Those who come back are dealt out in turn, as a proxy does.
        #[test]
        fn rounds_come_to_an_end_with_everyone_near_the_mean(
            full in prop::collection::vec(0..2000_u64, 1..6),
            new in 1..6_usize,
        ) {
            let mut nodes: Vec<(usize, u64)> = full.into_iter().chain(vec![0; new]).enumerate().collect();
            let (total, count) = (nodes.iter().map(|node| node.1).sum::<u64>(), nodes.len());
            let mut rounds = 0;
            loop {
                let round = excess(&nodes, 20);
                if round.is_empty() {
                    break;
                }
                let mut turn = 0;
                for Excess { node, connections } in round {
                    nodes[node].1 -= connections;
                    for _ in 0..connections {
                        nodes[turn % count].1 += 1;
                        turn += 1;
                    }
                }
                rounds += 1;
                prop_assert!(rounds < 12, "it does not end: {nodes:?}");
            }
            let mean = total / u64::try_from(count).unwrap();
            prop_assert!(nodes.iter().all(|(_, has)| *has <= mean + 1 + (mean * 21 / 100).max(by_chance(mean) + 2)));
        }
    }
}
