//! The tokens of a Secret, which publishers show as they are: one a line.
//!
//! What is kept is a keyed hash of each; that is what is compared, in a time that tells nothing of either.

use ring::{
    hmac::{self, Tag},
    rand::SystemRandom,
};

/// Tokens, each of which will do.
pub struct Tokens {
    key: hmac::Key,
    tags: Vec<Tag>,
}

/// The most that are read of a Secret.
const MOST: usize = 100;

impl Tokens {
    /// From the lines of a file. None: this machine has no randomness.
    pub fn read(content: &[u8]) -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        let tags = lines.take(MOST).map(|token| hmac::sign(&key, token)).collect();
        Some(Self { key, tags })
    }

    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// All are compared, whichever it is.
    pub fn have(&self, token: &str) -> bool {
        self.tags
            .iter()
            .fold(false, |found, tag| hmac::verify(&self.key, token.as_bytes(), tag.as_ref()).is_ok() | found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_token() {
        let tokens = Tokens::read(b"one\r\n\n  two  \nthree").unwrap();
        for good in ["one", "two", "three"] {
            assert!(tokens.have(good), "{good}");
        }
        for bad in ["", "on", "one ", "one\r", "four", "one\ntwo"] {
            assert!(!tokens.have(bad), "{bad}");
        }
        assert!(Tokens::read(b" \n\n").unwrap().is_empty());
    }
}
