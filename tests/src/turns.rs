//! Who runs when: some tests at a time share the cluster; one that wants it alone waits until none of them is left to run.

use std::sync::Mutex;

use tokio::sync::Notify;

use crate::must::Must;

/// How many share it at a time: more would not end sooner on a small machine.
const AT_ONCE: usize = 6;

struct State {
    sharing: usize,
    alone: bool,
}

static STATE: Mutex<State> = Mutex::new(State { sharing: 0, alone: false });
static CHANGED: Notify = Notify::const_new();

/// A turn; it ends when it is dropped.
pub enum Turn {
    Shared,
    Alone,
}

impl Turn {
    pub async fn shared() -> Self {
        until(|state| {
            let free = !state.alone && state.sharing < AT_ONCE;
            state.sharing += usize::from(free);
            free
        })
        .await;
        Self::Shared
    }

    /// Whoever shares comes first: so those who want to be alone come one after the other in the end, rather than holding up
    /// all others each time.
    pub async fn alone() -> Self {
        until(|state| {
            let free = !state.alone && state.sharing == 0;
            state.alone |= free;
            free
        })
        .await;
        Self::Alone
    }

    /// From here on others may run.
    pub fn share(&mut self) {
        if matches!(self, Self::Alone) {
            change(|state| (state.alone, state.sharing) = (false, 1));
            *self = Self::Shared;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        change(|state| match self {
            Self::Shared => state.sharing -= 1,
            Self::Alone => state.alone = false,
        });
    }
}

fn change(change: impl FnOnce(&mut State)) {
    change(&mut STATE.lock().must("see who runs"));
    CHANGED.notify_waiters();
}

/// Waits until it is so.
async fn until(mut met: impl FnMut(&mut State) -> bool) {
    loop {
        let changed = CHANGED.notified(); // before looking: no change is missed
        if met(&mut STATE.lock().must("see who runs")) {
            return;
        }
        changed.await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        task::yield_now,
        time::{sleep, timeout},
    };

    use super::*;

    #[tokio::test]
    async fn one_who_wants_to_be_alone_waits_for_all_who_share_and_holds_nobody_up() {
        let first = Turn::shared().await;
        let alone = tokio::spawn(Turn::alone());
        sleep(Duration::from_millis(10)).await; // it waits by now
        let second = timeout(Duration::from_secs(1), Turn::shared()).await.unwrap();
        drop(first);
        yield_now().await;
        assert!(!alone.is_finished());
        drop(second);
        let mut alone = alone.await.unwrap();
        let late = tokio::spawn(Turn::shared());
        sleep(Duration::from_millis(10)).await;
        assert!(!late.is_finished(), "someone runs beside one who is alone");
        alone.share();
        drop(late.await.unwrap());
    }
}
