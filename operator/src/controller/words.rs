//! What is in the Secrets that nodes read, as one short word that changes with any of it and tells nothing of it: an HMAC
//! whose key is the first of them, the token of the nodes' admin ports. Nobody who lacks those 256 random bits can use it
//! to try out what a password might be; so it may stand in a `ConfigMap`.

use std::fmt;

use ring::hmac;

use crate::digest;

/// What is in Secrets.
#[derive(Default)]
pub(super) struct Words(Vec<(String, String, Option<Vec<u8>>)>);

impl Words {
    /// The first one is the key of all the others.
    pub fn add(&mut self, secret: &str, key: &str, word: Option<&[u8]>) {
        self.0.push((secret.to_owned(), key.to_owned(), word.map(<[u8]>::to_vec)));
    }

    pub fn digest(&self) -> String {
        let secret = self.0.first().and_then(|(_, _, word)| word.as_deref()).unwrap_or_default();
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
        for (secret, key, word) in &self.0 {
            // Names have no NUL, and each length is told: no two lists look the same.
            context.update(format!("{secret}\0{key}\0{:?}\0", word.as_ref().map(Vec::len)).as_bytes());
            context.update(word.as_deref().unwrap_or_default());
        }
        digest::hex(context.sign().as_ref().get(..4).unwrap_or_default())
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(words: &[(&str, Option<&str>)]) -> String {
        let mut all = Words::default();
        for (key, word) in words {
            all.add("keys", key, word.map(str::as_bytes));
        }
        assert!(!format!("{all:?}").contains("admin"));
        all.digest()
    }

    #[test]
    fn it_changes_with_each_word_and_key() {
        let all = [
            digest(&[("admin", Some("token")), ("a", Some("x"))]),
            digest(&[("admin", Some("token")), ("a", Some("y"))]),
            digest(&[("admin", Some("token")), ("b", Some("x"))]),
            digest(&[("admin", Some("token")), ("a", None)]),
            digest(&[("admin", Some("token")), ("a", Some(""))]),
            digest(&[("admin", Some("other")), ("a", Some("x"))]),
            digest(&[("admin", Some("token"))]),
        ];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(all[0], digest(&[("admin", Some("token")), ("a", Some("x"))]));
        assert_eq!(all[0].len(), 8);
    }
}
