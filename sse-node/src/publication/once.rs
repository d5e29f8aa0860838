//! What makes a publication the same as one before: a key that the publisher chose, and a fingerprint of the
//! events. The key is that of draft-ietf-httpapi-idempotency-key-header, a string in quotes; or without them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::HeaderMap;
use ring::digest::{Context, SHA256};

use crate::{broker::Once, event::NewEvent};

const HEADER: &str = "idempotency-key";
const LONGEST: usize = 255;

/// A key is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Idempotency-Key must be given once, as from 1 to 255 visible ASCII characters, as they are or as a string in quotes"
)]
pub struct BadKey;

/// What a publisher calls a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Of the header; none if there is none.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, BadKey> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(BadKey);
        }
        let text = value.to_str().map_err(|_| BadKey)?.trim();
        let key = match text.strip_prefix('"') {
            Some(rest) => unquoted(rest.strip_suffix('"').ok_or(BadKey)?)?,
            None => text.to_owned(),
        };
        let visible = key.bytes().all(|b| b.is_ascii_graphic());
        if !visible || key.is_empty() || key.len() > LONGEST {
            Err(BadKey)
        } else {
            Ok(Some(Self(format!("key:{key}"))))
        }
    }

    /// Of the source and id that make a CloudEvent unique.
    pub fn cloud_event(source: &str, id: &str) -> Self {
        let mut hash = Hash::new();
        hash.add(source);
        hash.add(id);
        Self(format!("cloudevent:{}", hash.text()))
    }

    /// This key for these events.
    pub fn of(self, events: &[NewEvent]) -> Once {
        let mut hash = Hash::new();
        for new in events {
            hash.add(&new.topic);
            hash.add(new.event.as_deref().unwrap_or_default());
            hash.add(&new.data);
            hash.add(&new.ttl.map(|ttl| ttl.as_millis().to_string()).unwrap_or_default());
        }
        Once { key: self.0, fingerprint: hash.text() }
    }
}

/// RFC 9651, 3.3.3: a backslash stands before a quote or a backslash, and both stand nowhere else.
fn unquoted(text: &str) -> Result<String, BadKey> {
    let (mut key, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => return Err(BadKey),
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\')).ok_or(BadKey)?),
            c => key.push(c),
        }
    }
    Ok(key)
}

/// A hash of several texts that tells where each ends.
struct Hash(Context);

impl Hash {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    fn add(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<Key>, BadKey> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, value.parse().unwrap());
        }
        Key::read(&headers)
    }

    #[test]
    fn a_key_is_a_string_or_a_token() {
        let key = |text: &str| Ok(Some(Key(format!("key:{text}"))));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["8e03978e-40d5-43dd"]), key("8e03978e-40d5-43dd"));
        assert_eq!(read(&["\"8e03978e\""]), key("8e03978e"));
        assert_eq!(read(&[r#""a\"b\\c""#]), key(r#"a"b\c"#));
        assert_eq!(read(&[&"x".repeat(255)]), key(&"x".repeat(255)));
        for bad in ["", "\"\"", "\"a", "\"a\"b\"", r#""a\b""#, r#""a\""#, "a b", "é", &"x".repeat(256)] {
            assert_eq!(read(&[bad]), Err(BadKey), "{bad}");
        }
        assert_eq!(read(&["a", "a"]), Err(BadKey));
    }

    #[test]
    fn a_fingerprint_knows_where_a_field_ends() {
        let of = |topic: &str, data: &str| {
            Key("k".into())
                .of(&[NewEvent { topic: topic.into(), event: None, data: data.into(), ttl: None }])
                .fingerprint
        };
        assert_eq!(of("ab", "c"), of("ab", "c"));
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(Key::cloud_event("/a", "b"), Key::cloud_event("/", "ab"));
    }
}
