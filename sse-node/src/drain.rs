//! Letting go of connections at a declared rate when the node is to stop.
//!
//! Every stream waits for its turn to close; turns are handed out once the drain has begun. Until the last
//! is closed the node still accepts, since a proxy may not have heard yet: whoever comes now is served, gets
//! a turn like the others, and comes back elsewhere.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{sync::Semaphore, time};

/// Whether the node is to stop, and whose turn it is to go.
pub struct Drain {
    begun: AtomicBool,
    turns: Semaphore,
}

impl Default for Drain {
    fn default() -> Self {
        Self { begun: AtomicBool::new(false), turns: Semaphore::new(0) }
    }
}

impl Drain {
    /// From here on the node is not ready.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Waits until this stream is to close.
    pub async fn turn_to_close(&self) {
        if let Ok(turn) = self.turns.acquire().await {
            turn.forget();
        }
    }

    /// Hands out turns at the declared rate, for ever.
    pub async fn hand_out_turns(&self, per_second: u32) {
        const TICK: Duration = Duration::from_millis(20);
        let mut ticks = time::interval(TICK);
        let mut owed = 0.0;
        loop {
            ticks.tick().await;
            owed += f64::from(per_second) * TICK.as_secs_f64();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            let now = owed as usize;
            owed = owed.fract();
            // Turns are not saved up: a stream that comes late waits for its own.
            let unused = self.turns.available_permits();
            self.turns.add_permits(now.saturating_sub(unused));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn streams_close_at_the_declared_rate() {
        let drain = Arc::new(Drain::default());
        let streams: tokio::task::JoinSet<()> = (0..100)
            .map(|_| {
                let drain = drain.clone();
                async move { drain.turn_to_close().await }
            })
            .collect();
        let begun = time::Instant::now();
        tokio::select! {
            () = drain.hand_out_turns(50) => {}
            _ = streams.join_all() => {}
        }
        let took = begun.elapsed();
        assert!(took > Duration::from_millis(1900) && took < Duration::from_millis(2100), "{took:?}");
    }
}
