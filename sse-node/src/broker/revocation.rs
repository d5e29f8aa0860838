//! Tokens that were revoked, as brokers keep them for all nodes of a stream. There is no taking back: entries only
//! come, and are over in their time.

use std::time::Duration;

/// One that was revoked. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revocation {
    pub revoked: Revoked,
    /// From then on it is forgotten: the tokens are over by themselves.
    pub until: u64,
}

/// What was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// The token with this `jti`.
    Token(String),
    /// All tokens of this `sub` that were issued up to a time.
    Subject(String, u64),
}

/// Where a reader of revocations is: after which one, by the broker's own reckoning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark(pub String);

/// What a reader of revocations finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub revocations: Vec<Revocation>,
    pub mark: Mark,
    /// They were lost since: these are all that there are, and who knows more gives it back.
    pub lost: bool,
}

/// The longest that one may hold.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);
/// The most that are kept.
pub const MOST: usize = 100_000;

impl Revoked {
    /// As it is kept: what kind it is, of whom, and up to when issued.
    pub fn words(&self) -> [String; 3] {
        match self {
            Self::Token(jti) => ["jti".into(), jti.clone(), String::new()],
            Self::Subject(subject, at) => ["sub".into(), subject.clone(), at.to_string()],
        }
    }

    /// None: it is kept by a later version, as something that this one does not know.
    pub fn of(kind: &str, name: &str, at: &str) -> Option<Self> {
        match kind {
            "jti" => Some(Self::Token(name.into())),
            "sub" => Some(Self::Subject(name.into(), at.parse().ok()?)),
            _ => None,
        }
    }
}
