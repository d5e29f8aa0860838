//! How other threads speak to a shard: messages under a lock, and a bell that is rung once until it is heard.
//!
//! `tests/mailbox_model.rs` tries every interleaving of it with loom, which is why its primitives come by way
//! of `super::sync`.

use super::sync::{AtomicBool, Mutex, Ordering};

/// What wakes the thread that reads.
pub trait Bell {
    fn ring(&self);
}

/// Messages for one reader.
pub struct Mailbox<T, B> {
    messages: Mutex<Vec<T>>,
    /// Whether the bell was rung and the reader has not come yet.
    rung: AtomicBool,
    bell: B,
}

impl<T, B: Bell> Mailbox<T, B> {
    pub fn new(bell: B) -> Self {
        Self { messages: Mutex::new(Vec::new()), rung: AtomicBool::new(false), bell }
    }

    pub fn bell(&self) -> &B {
        &self.bell
    }

    pub fn send(&self, message: T) {
        self.messages.lock().push(message);
        self.wake();
    }

    /// Makes the reader look, without a message.
    pub fn wake(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.bell.ring();
        }
    }

    /// What has come. Whatever is sent from here on rings again, so the reader looks at what it was woken for
    /// only after this.
    pub fn take(&self, messages: &mut Vec<T>) {
        self.rung.swap(false, Ordering::AcqRel);
        messages.append(&mut self.messages.lock());
    }
}
