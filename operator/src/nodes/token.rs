//! What the operator shows at the nodes' admin ports. It is in no log and no error: nothing prints it.

use std::{fmt, sync::Arc};

use hyper::header::HeaderValue;

/// The token of one stream's nodes.
#[derive(Clone, PartialEq)]
pub struct Token(Arc<str>);

impl Token {
    /// The first of a Secret's lines: nodes take any of them, so that one can be put beside another and then take its
    /// place.
    pub fn first_of(secret: &[u8]) -> Option<Self> {
        let text = str::from_utf8(secret).ok()?;
        let first = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        Some(Self(first.into()))
    }

    /// None: it has characters that no header can carry.
    pub fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_shown_and_never_printed() {
        let token = Token::first_of(b"\n one \ntwo\n").unwrap();
        assert_eq!(token.header().unwrap(), "Bearer one");
        assert_eq!(format!("{token:?} {:?}", token.header().unwrap()), "Token Sensitive");
        assert_eq!(Token::first_of(b" \n"), None);
        assert!(Token::first_of(b"a\x01b").unwrap().header().is_none());
    }
}
