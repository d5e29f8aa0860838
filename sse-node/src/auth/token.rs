//! Whether a token is good: its head, its signature by one key, its claims. `jsonwebtoken` verifies and validates;
//! what it is lenient about (twice given members, `crit`, claims of a wrong type) is refused here.
//!
//! Follows RFC 7515, RFC 7519 and RFC 8725 (JWT Best Current Practices).

use std::{collections::HashSet, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, Validation, decode,
    errors::{Error, ErrorKind},
};
use ssefleet_crds::auth::{Jwt, TimeClaim};

use super::{
    grants,
    keys::{Key, pinned},
    members::{Members, WrongType},
};
use crate::fanout::topics::Topics;

/// The longest token, in bytes; whatever is longer is refused unread. Heads end at 32 KiB.
pub const MAX: usize = 8 << 10;

/// What is wrong with a token. Each is a sentence for who sent it; none says what the token holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("the token is longer than {MAX} bytes")]
    TooLong,
    #[error("the token is not a signed JSON Web Token: {0}")]
    Malformed(&'static str),
    #[error("the token asks for extensions by crit, and there are none here")]
    Critical,
    #[error("the token's alg is not one that this stream takes")]
    Algorithm,
    #[error("the token is signed with a key that this stream does not know")]
    Key,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token has expired: get a new one")]
    Expired,
    #[error("the token is not good yet: its nbf or iat is in the future")]
    Early,
    #[error("the token's iss is not the one that this stream takes")]
    Issuer,
    #[error("the token's aud is not this stream's")]
    Audience,
    #[error("the token lacks the claim {0}")]
    Missing(String),
    #[error("the token's claim {0} is not what it must be")]
    Claim(String),
    #[error("the token has been revoked")]
    Revoked,
}

impl Bad {
    /// For the metric.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong | Self::Malformed(_) | Self::Critical => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::Key => "token_key",
            Self::Signature => "token_signature",
            Self::Expired => "token_expired",
            Self::Early => "token_early",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Missing(_) | Self::Claim(_) => "token_claims",
            Self::Revoked => "token_revoked",
        }
    }
}

/// What a token says of itself before it is believed: only good to choose a key that is known already. Where else it
/// says keys are (jku, jwk, x5u, x5c) is not read.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
}

/// A token that is good.
#[derive(Debug)]
pub struct Claims {
    pub subject: Option<String>,
    pub jti: Option<String>,
    /// Seconds since 1970, as is `expires`.
    pub issued: Option<f64>,
    pub expires: Option<f64>,
    pub grants: Topics,
}

/// What a token must be.
pub struct Rules {
    pinned: Vec<Algorithm>,
    /// For each algorithm that is pinned.
    validations: Vec<Validation>,
    issuer: bool,
    audience: bool,
    leeway: u64,
    topics_claim: String,
}

impl Rules {
    pub fn new(jwt: &Jwt) -> Self {
        let leeway: Duration = jwt.leeway.into();
        let leeway = leeway.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX);
        let mut validation = Validation { leeway, validate_nbf: true, ..Validation::default() };
        let mut required: HashSet<String> = HashSet::new();
        for claim in &jwt.required_claims {
            required.insert(match claim {
                TimeClaim::Exp => "exp".into(),
                TimeClaim::Nbf => "nbf".into(),
            });
        }
        if let Some(issuer) = &jwt.issuer {
            validation.set_issuer(&[issuer]);
            required.insert("iss".into());
        }
        if let Some(audience) = &jwt.audience {
            validation.set_audience(&[audience]);
            required.insert("aud".into());
        }
        validation.required_spec_claims = required;
        let pinned = pinned(&jwt.algorithms);
        let alone = |algorithm: &Algorithm| Validation { algorithms: vec![*algorithm], ..validation.clone() };
        Self {
            validations: pinned.iter().map(alone).collect(),
            pinned,
            issuer: jwt.issuer.is_some(),
            audience: jwt.audience.is_some(),
            leeway,
            topics_claim: jwt.topics_claim.clone(),
        }
    }

    /// How far clocks may differ.
    pub fn leeway(&self) -> u64 {
        self.leeway
    }

    pub fn pinned(&self) -> &[Algorithm] {
        &self.pinned
    }

    /// Reads the head, and refuses what no key could make good.
    pub fn head(&self, token: &str) -> Result<Head, Bad> {
        if token.len() > MAX {
            return Err(Bad::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(head), Some(_), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Bad::Malformed("it has three parts, with dots between them"));
        };
        let head = URL_SAFE_NO_PAD.decode(head).map_err(|_| Bad::Malformed("its head is not base64url"))?;
        let head: Members = serde_json::from_slice(&head)
            .map_err(|_| Bad::Malformed("its head is no JSON object, or a member is there twice"))?;
        if head.raw("crit").is_some() {
            return Err(Bad::Critical);
        }
        let wrong = |WrongType| Bad::Malformed("alg and kid are strings");
        let named = head.get::<String>("alg").map_err(wrong)?;
        let algorithm = named.as_deref().and_then(|name| name.parse().ok()).ok_or(Bad::Algorithm)?;
        if !self.pinned.contains(&algorithm) {
            return Err(Bad::Algorithm);
        }
        if signature.is_empty() {
            return Err(Bad::Signature);
        }
        Ok(Head { algorithm, kid: head.get("kid").map_err(wrong)? })
    }

    /// The claims of a token that this key has signed. None: it has not.
    pub fn verify(&self, token: &str, head: &Head, key: &Key) -> Result<Option<Claims>, Bad> {
        let at = self.pinned.iter().position(|algorithm| *algorithm == head.algorithm).ok_or(Bad::Algorithm)?;
        let validation = self.validations.get(at).ok_or(Bad::Algorithm)?;
        match decode::<Members>(token, &key.decoding, validation) {
            Ok(token) => self.claims(&token.claims).map(Some),
            Err(error) => bad(error).map_or(Ok(None), Err),
        }
    }

    fn claims(&self, claims: &Members) -> Result<Claims, Bad> {
        let text = |name: &str| claims.get::<String>(name).map_err(|WrongType| Bad::Claim(name.into()));
        let time = |name: &str| claims.get::<f64>(name).map_err(|WrongType| Bad::Claim(name.into()));
        // The library takes a list of issuers too, and an audience of a wrong type as none.
        if self.issuer {
            text("iss").map_err(|_| Bad::Issuer)?;
        }
        if !self.audience && claims.raw("aud").is_some() {
            return Err(Bad::Audience);
        }
        let issued = time("iat")?;
        #[expect(clippy::cast_precision_loss, reason = "seconds that a clock tells")]
        let latest = (jsonwebtoken::get_current_timestamp().saturating_add(self.leeway())) as f64;
        // Or the token would be beyond any revocation by sub.
        if issued.is_some_and(|issued| issued > latest) {
            return Err(Bad::Early);
        }
        Ok(Claims {
            subject: text("sub")?,
            jti: text("jti")?,
            issued,
            expires: time("exp")?,
            grants: grants::of(claims, &self.topics_claim).map_err(|_| Bad::Claim(self.topics_claim.clone()))?,
        })
    }
}

/// None: another key may have signed it.
fn bad(error: Error) -> Option<Bad> {
    Some(match error.into_kind() {
        ErrorKind::InvalidSignature => return None,
        ErrorKind::ExpiredSignature => Bad::Expired,
        ErrorKind::ImmatureSignature => Bad::Early,
        ErrorKind::InvalidIssuer => Bad::Issuer,
        ErrorKind::InvalidAudience => Bad::Audience,
        ErrorKind::MissingRequiredClaim(name) => Bad::Missing(name),
        ErrorKind::InvalidClaimFormat(name) => Bad::Claim(name),
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Bad::Algorithm,
        ErrorKind::Base64(_) => Bad::Malformed("a part is not base64url"),
        ErrorKind::Json(_) => Bad::Malformed("its claims are no JSON object, or one is there twice"),
        _ => Bad::Malformed("it can't be read"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::hmac;

    use super::*;

    const SECRET: &[u8] = b"a shared secret of thirty-two bytes";

    fn rules() -> Rules {
        crate::auth::crypto::install();
        let jwt = r#"{"keys": [], "algorithms": ["HS256"], "requiredClaims": []}"#;
        Rules::new(&serde_json::from_str(jwt).unwrap())
    }

    fn signed(head: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn read(token: &str) -> Result<Option<Claims>, Bad> {
        let rules = rules();
        let key = Key::shared(None, SECRET, rules.pinned()).unwrap();
        let head = rules.head(token)?;
        rules.verify(token, &head, &key)
    }

    #[test]
    fn times_may_have_fractions_and_be_far() {
        let claims = read(&signed(r#"{"alg":"HS256"}"#, r#"{"exp":1e18,"nbf":1.5,"iat":0.5}"#)).unwrap().unwrap();
        assert_eq!((claims.expires, claims.issued), (Some(1e18), Some(0.5)));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}", parts in "[A-Za-z0-9_-]{0,20}[.][A-Za-z0-9_-]{0,20}[.][A-Za-z0-9_-]{0,20}") {
            for token in [text, parts] {
                prop_assert!(read(&token).is_err());
            }
        }

        #[test]
        fn no_signed_claims_make_it_panic(
            name in "exp|nbf|iat|sub|jti|iss|aud|topics|x",
            value in r#"-?[0-9]{1,25}([.][0-9]{1,3})?(e-?[0-9]{1,3})?|"[a-z*]{0,5}"|null|true|\[1?\]|\{\}"#,
        ) {
            let _ = read(&signed(r#"{"alg":"HS256"}"#, &format!("{{\"{name}\":{value}}}")));
            let _ = read(&signed(&format!("{{\"alg\":\"HS256\",\"kid\":{value}}}"), "{}"));
        }
    }
}
