//! Every interleaving of those who send to a shard and the shard that sleeps and looks, by loom: nothing that is
//! sent lies unread while the reader sleeps.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../src/fanout/mailbox.rs"]
mod mailbox;

/// Loom's primitives in the place of the real ones.
mod sync {
    pub use loom::sync::atomic::{AtomicBool, Ordering};

    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

use loom::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use mailbox::{Bell, Mailbox};

/// As an eventfd: it stays rung until someone has waited for it.
struct Doorbell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell for Doorbell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }
}

impl Doorbell {
    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

#[test]
fn what_is_sent_is_read() {
    // Three threads that may be interrupted three times each: more finds nothing new, and takes minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let bell = Doorbell { rung: Mutex::new(false), changed: Condvar::new() };
        let mailbox = Arc::new(Mailbox::new(bell));
        // The ring is written outside of the mailbox, and then its readers are woken.
        let ring = Arc::new(AtomicUsize::new(0));
        let publisher = {
            let (mailbox, ring) = (mailbox.clone(), ring.clone());
            thread::spawn(move || {
                ring.store(1, Ordering::Release);
                mailbox.wake();
            })
        };
        let sender = {
            let mailbox = mailbox.clone();
            thread::spawn(move || {
                mailbox.send('a');
            })
        };
        // Were a wake-up lost, this would sleep for ever, which loom reports as a deadlock.
        let (mut got, mut seen) = (Vec::new(), 0);
        while got.is_empty() || seen < 1 {
            mailbox.bell().wait();
            mailbox.take(&mut got);
            seen = ring.load(Ordering::Acquire);
        }
        assert_eq!(got, ['a']);
        publisher.join().unwrap();
        sender.join().unwrap();
    });
}
