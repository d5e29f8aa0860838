//! A window that slides: how many there were, and when. The same reckoning as `fleet/window.lua`.

use std::{collections::VecDeque, time::Duration};

use crate::limits::counts::{Quota, Spent, Standing};

/// Of one key.
#[derive(Default)]
pub struct Window {
    /// When a slice began, in milliseconds of the clock, and how many there were in it; the oldest first.
    slices: VecDeque<(u64, u32)>,
}

impl Window {
    /// Counts `cost` if there is room for all of it.
    pub fn spend(&mut self, now: u64, quota: Quota, cost: u32) -> Spent {
        self.forget(now, quota);
        let used = self.used();
        let granted = used.saturating_add(cost) <= quota.max;
        if granted && cost > 0 {
            let slice = now - now % quota.slice_millis();
            match self.slices.back_mut() {
                Some((begun, count)) if *begun == slice => *count += cost,
                _ => self.slices.push_back((slice, cost)),
            }
        }
        let used = if granted { used + cost } else { used };
        // Who was let in learns when the first of those that count no longer does; who was not, when enough don't.
        let needed = if granted { 1 } else { used.saturating_add(cost).saturating_sub(quota.max) };
        let standing = Standing { remaining: quota.max.saturating_sub(used), reset: self.room_in(now, quota, needed) };
        Spent { granted, standing }
    }

    fn forget(&mut self, now: u64, quota: Quota) {
        while self.slices.front().is_some_and(|(begun, _)| ends(*begun, quota) <= now) {
            self.slices.pop_front();
        }
    }

    fn used(&self) -> u32 {
        self.slices.iter().fold(0, |sum: u32, (_, count)| sum.saturating_add(*count))
    }

    fn room_in(&self, now: u64, quota: Quota, needed: u32) -> Duration {
        let mut freed: u32 = 0;
        let mut at = now;
        for (begun, count) in &self.slices {
            freed = freed.saturating_add(*count);
            at = ends(*begun, quota);
            if freed >= needed {
                break;
            }
        }
        Duration::from_millis(at.saturating_sub(now))
    }
}

/// When what happened in a slice counts no longer.
fn ends(begun: u64, quota: Quota) -> u64 {
    begun + quota.slice_millis() - 1 + quota.window_millis()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quota(max: u32, millis: u64) -> Quota {
        Quota { max, window: Duration::from_millis(millis) }
    }

    #[test]
    fn a_place_comes_back_when_its_time_is_out_of_the_window() {
        let (mut window, two) = (Window::default(), quota(2, 1000));
        let said = |spent: Spent| (spent.granted, spent.standing.remaining, spent.standing.reset.as_millis());
        assert_eq!(said(window.spend(5000, two, 1)), (true, 1, 1000));
        assert_eq!(said(window.spend(5400, two, 1)), (true, 0, 600));
        assert_eq!(said(window.spend(5999, two, 1)), (false, 0, 1));
        assert_eq!(said(window.spend(6000, two, 1)), (true, 0, 400), "not a moment later");
        assert_eq!(said(window.spend(6000, two, 2)), (false, 0, 1000), "room for two");
        // Another limit holds for what was counted before, too.
        assert_eq!(said(window.spend(6001, quota(5, 10_000), 1)), (true, 2, 9399));
    }

    proptest! {
        /// Whatever is asked when: no window of any place in time has more than `max`, and who is told to come back
        /// in so long is let in then, if nobody else comes.
        #[test]
        fn no_window_has_more_than_it_may(
            max in 1_u32..200,
            millis in 1_u64..2000,
            asks in proptest::collection::vec((0_u64..300, 1_u32..20), 1..300),
        ) {
            let (mut window, quota) = (Window::default(), quota(max, millis));
            let (mut now, mut counted) = (1_000_000, Vec::new());
            for (step, cost) in asks {
                now += step;
                let spent = window.spend(now, quota, cost);
                if spent.granted {
                    counted.push((now, cost));
                } else if cost <= max {
                    let then = now + u64::try_from(spent.standing.reset.as_millis()).unwrap();
                    prop_assert!(then > now);
                    let mut alone = Window { slices: window.slices.clone() };
                    prop_assert!(alone.spend(then, quota, cost).granted);
                }
                let within: u32 = counted.iter().filter(|(at, _)| at + millis > now).map(|(_, cost)| cost).sum();
                prop_assert!(within <= max, "{within} of {max}");
                prop_assert!(window.slices.len() <= 66);
            }
        }
    }
}
