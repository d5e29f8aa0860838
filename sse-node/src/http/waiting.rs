//! Connections that owe us the head of a request: the new ones, and those that are kept for a further one. Only so
//! many may: then the one that has been waiting for longest is asked to go. Thus whoever sends its head at once gets
//! in, however many others send none.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The waiting connections of a listener.
#[derive(Clone)]
pub struct Waiting {
    seats: Arc<Mutex<Seats>>,
    max: usize,
}

#[derive(Default)]
struct Seats {
    /// By age.
    taken: BTreeMap<u64, Arc<Notify>>,
    next: u64,
}

/// A place among those who wait; free again when it is dropped.
pub struct Seat {
    seats: Arc<Mutex<Seats>>,
    number: u64,
}

impl Waiting {
    pub fn new(max: usize) -> Self {
        Self { seats: Arc::default(), max }
    }

    /// Takes the newest seat. `go` is told when it has become the oldest of too many.
    pub fn sit(&self, go: &Arc<Notify>) -> Seat {
        let mut seats = self.seats.lock();
        let number = seats.next;
        seats.next += 1;
        seats.taken.insert(number, go.clone());
        if seats.taken.len() > self.max
            && let Some((_, oldest)) = seats.taken.pop_first()
        {
            oldest.notify_one();
        }
        Seat { seats: self.seats.clone(), number }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_one_that_has_been_waiting_for_longest_goes() {
        let waiting = Waiting::new(2);
        let go: Vec<_> = (0..4).map(|_| Arc::new(Notify::new())).collect();
        let told = || go.iter().map(|go| go.notified().now_or_never().is_some()).collect::<Vec<_>>();
        let first = waiting.sit(&go[0]);
        let _second = waiting.sit(&go[1]);
        drop(first);
        let _third = waiting.sit(&go[2]);
        assert_eq!(told(), [false; 4]);
        let _fourth = waiting.sit(&go[3]);
        assert_eq!(told(), [false, true, false, false]);
    }
}
