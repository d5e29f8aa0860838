//! The body of `POST /revoke`: `{"jti": "…"}` or `{"sub": "…"}`, and `"expiresIn": "1h"` if need be.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};
use ssefleet_crds::units;

use crate::broker::revocation::{LONGEST, Revocation, Revoked};

/// The largest body, in bytes.
pub const MAX_BODY: usize = 16 << 10;
/// How long a revocation holds if nothing is said: longer than tokens for streams should.
const USUAL: Duration = Duration::from_hours(24);
/// The longest name, in bytes: no token has a longer one.
const MAX_NAME: usize = 8 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    jti: Option<String>,
    sub: Option<String>,
    #[serde(rename = "expiresIn")]
    expires_in: Option<String>,
}

/// What is to be revoked, from now on. An error is a sentence.
pub fn read(body: &[u8]) -> Result<Revocation, String> {
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        format!("the body must be {{\"jti\": …}} or {{\"sub\": …}}, with \"expiresIn\" if need be: {error}")
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let revoked = match (body.jti, body.sub) {
        (Some(jti), None) => Revoked::Token(jti),
        (None, Some(sub)) => Revoked::Subject(sub, now),
        _ => return Err("the body must have either jti or sub".into()),
    };
    let (Revoked::Token(name) | Revoked::Subject(name, _)) = &revoked;
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(format!("jti and sub have from 1 to {MAX_NAME} bytes"));
    }
    let lasts = match &body.expires_in {
        None => USUAL,
        Some(text) => units::duration(text).filter(|lasts| (Duration::from_secs(1)..=LONGEST).contains(lasts)).ok_or(
            "expiresIn must be a Go duration from 1s to 720h, for example 1h: as long as such a token may last",
        )?,
    };
    Ok(Revocation { revoked, until: now + lasts.as_secs() })
}

/// What was done.
pub fn told(revocation: &Revocation) -> Value {
    let until = i64::try_from(revocation.until).ok().and_then(|until| jiff::Timestamp::from_second(until).ok());
    let until = until.map(|until| until.to_string());
    match &revocation.revoked {
        Revoked::Token(jti) => json!({"jti": jti, "until": until}),
        Revoked::Subject(sub, at) => json!({"sub": sub, "issuedUpTo": at, "until": until}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_a_token_or_a_subject() {
        let revocation = read(br#"{"jti": "a", "expiresIn": "1h"}"#).unwrap();
        assert_eq!(revocation.revoked, Revoked::Token("a".into()));
        assert!(
            matches!(read(br#"{"sub": "ann"}"#).unwrap().revoked, Revoked::Subject(sub, at) if sub == "ann" && at > 0)
        );
        for wrong in [
            "",
            "{}",
            r#"{"jti": "a", "sub": "b"}"#,
            r#"{"jti": ""}"#,
            r#"{"jti": "a", "jti": "b"}"#,
            r#"{"jti": 1}"#,
            r#"{"jti": "a", "expiresIn": "0s"}"#,
            r#"{"jti": "a", "expiresIn": "721h"}"#,
            r#"{"jti": "a", "expiresIn": 3600}"#,
            r#"{"jti": "a", "expires": "1h"}"#,
        ] {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
