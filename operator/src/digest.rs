//! Short digests for annotations: they tell two contents apart across restarts and releases of the operator.

use std::fmt::Write;

use ring::digest::{SHA256, digest};

/// The first `bytes` bytes of the text's SHA-256, as hex.
pub fn short(text: &str, bytes: usize) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref().get(..bytes).unwrap_or_default())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_sha256sum() {
        assert_eq!(short("abc", 4), "ba7816bf");
    }
}
