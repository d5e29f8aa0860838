//! Who is not let in, and what they are told: 401 with a challenge (RFC 6750 3), or 403 for topics that are not
//! granted. Never a stream that says to come back: with the same token it would be the same again.

use hyper::{
    StatusCode,
    header::{HeaderValue, WWW_AUTHENTICATE},
};

use super::token::Bad;
use crate::http::respond::{self, Response};

/// Why one is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// None was shown. How to show one.
    NoToken(String),
    /// Two were, or something that can't be read.
    Ambiguous(String),
    Bad(Bad),
    /// It is none of those that the Secret holds.
    Unknown,
    /// What the token does grant is something else, or nothing.
    NoGrant,
    Topic(String),
}

impl From<Bad> for Denied {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

/// What a challenge is for. One word for all streams: it tells nothing that the address does not.
const REALM: &str = "ssefleet";

impl Denied {
    /// A topic that is not granted.
    pub fn topic(name: &str) -> Self {
        Self::Topic(name.into())
    }

    /// For the metric.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoToken(_) => "no_token",
            Self::Ambiguous(_) => "token_ambiguous",
            Self::Bad(bad) => bad.reason(),
            Self::Unknown => "token_unknown",
            Self::NoGrant | Self::Topic(_) => "topic_not_granted",
        }
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoGrant | Self::Topic(_) => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    pub fn sentence(&self) -> String {
        match self {
            Self::NoToken(how) => how.clone(),
            Self::Ambiguous(why) => why.clone(),
            Self::Bad(bad) => bad.to_string(),
            Self::Unknown => "the token is none that this stream knows".into(),
            Self::NoGrant => "the token grants no topic".into(),
            Self::Topic(topic) => format!("the token does not grant the topic {topic:?}"),
        }
    }

    /// RFC 6750 3: no error code where no token was shown.
    pub fn challenge(&self) -> HeaderValue {
        let error = match self {
            Self::NoToken(_) => None,
            Self::Ambiguous(_) => Some("invalid_request"),
            Self::Bad(_) | Self::Unknown => Some("invalid_token"),
            Self::NoGrant | Self::Topic(_) => Some("insufficient_scope"),
        };
        let mut challenge = format!("Bearer realm=\"{REALM}\"");
        if let Some(error) = error {
            let description = described(&self.sentence());
            challenge.extend([", error=\"", error, "\", error_description=\"", &description, "\""]);
        }
        HeaderValue::from_str(&challenge).unwrap_or(HeaderValue::from_static("Bearer"))
    }

    /// The whole answer.
    pub fn answer(&self) -> Response {
        let mut response = respond::problem(self.status(), &self.sentence());
        response.headers_mut().insert(WWW_AUTHENTICATE, self.challenge());
        response
    }
}

/// In the characters that an error_description may have.
fn described(sentence: &str) -> String {
    let fits = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    sentence.chars().filter(|c| *c != '"').map(|c| if fits(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_holds_only_what_it_may() {
        let denied = Denied::topic("ä\"\\\r\nSet-Cookie: x");
        assert_eq!(
            denied.challenge(),
            "Bearer realm=\"ssefleet\", error=\"insufficient_scope\", error_description=\"the token does not grant the topic ?????r?nSet-Cookie: x\""
        );
        assert_eq!(Denied::NoToken(String::new()).challenge(), "Bearer realm=\"ssefleet\"");
    }
}
