//! A copy of what is written, for someone who looks on. It goes into a socket pair without waiting: what is read too
//! slowly is left out and counted, and whoever writes never notices.

use std::os::fd::OwnedFd;

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};

/// The writing end. Dropped, it says so and ends.
#[derive(Debug)]
pub struct Tap {
    end: OwnedFd,
    /// Bytes that found no room since the last that did.
    left_out: u64,
    /// What it says when it ends.
    last_words: &'static str,
}

impl Tap {
    pub fn new(end: impl Into<OwnedFd>, last_words: &'static str) -> Self {
        Self { end: end.into(), left_out: 0, last_words }
    }

    /// Copies what was written; false when nobody reads any more.
    pub fn copy(&mut self, bytes: &[u8]) -> bool {
        if self.left_out > 0 {
            let note = format!("\n[tap: {} bytes were left out here, as it is read too slowly]\n", self.left_out);
            match self.put(note.as_bytes()) {
                Some(taken) if taken == note.len() => self.left_out = 0,
                // A note that came by half is told again.
                Some(_) => {
                    self.left_out += bytes.len() as u64;
                    return true;
                }
                None => return false,
            }
        }
        let Some(taken) = self.put(bytes) else { return false };
        self.left_out += (bytes.len() - taken) as u64;
        true
    }

    /// Why it ends, if that is another reason than usual.
    pub fn end(mut self, last_words: &'static str) {
        self.last_words = last_words;
    }

    /// Whether somebody reads it.
    pub fn is_read(&self) -> bool {
        // The reader's end is closed, or has nothing to say.
        !matches!(recv(&self.end, &mut [0], RecvFlags::DONTWAIT | RecvFlags::PEEK), Ok((_, 0)))
    }

    /// How much there was room for; none when nobody reads.
    fn put(&self, bytes: &[u8]) -> Option<usize> {
        match send(&self.end, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(taken) => Some(taken),
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => Some(0),
            Err(_) => None,
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.copy(format!("\n[tap: {}]\n", self.last_words).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream};

    use super::*;

    fn tap() -> (Tap, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Tap::new(ours, "it is over"), theirs)
    }

    /// All that there is.
    fn read(end: &mut UnixStream) -> String {
        let mut told = Vec::new();
        let _ = end.read_to_end(&mut told); // it would block, or is the end
        String::from_utf8(told).unwrap()
    }

    #[test]
    fn what_is_read_too_slowly_is_left_out_and_counted_to_the_byte() {
        let (mut tap, mut end) = tap();
        let piece = "0123456789".repeat(1000);
        let mut given = 0;
        for _ in 0..1_000 {
            assert!(tap.copy(piece.as_bytes()));
            given += piece.len();
            if tap.left_out > 0 {
                break;
            }
        }
        assert!(tap.copy(b"not this"));
        let told = read(&mut end);
        let left_out = given - told.len() + "not this".len();
        assert!(tap.copy(b"but this"));
        let note = format!("\n[tap: {left_out} bytes were left out here, as it is read too slowly]\nbut this");
        assert_eq!(read(&mut end), note);
    }

    #[test]
    fn it_says_when_it_is_over_and_notices_when_nobody_reads() {
        let (tap, mut end) = tap();
        assert!(tap.is_read());
        drop(tap);
        assert_eq!(read(&mut end), "\n[tap: it is over]\n");
        let (mut tap, end) = self::tap();
        drop(end);
        assert!(!tap.is_read());
        assert!(!tap.copy(b"x"));
    }
}
