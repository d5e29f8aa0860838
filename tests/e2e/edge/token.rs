//! JSON Web Tokens as a login service would sign them: RFC 7519, HS256.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use ring::hmac;
use serde_json::{Value, json};

/// A shared secret, as `openssl rand -hex 32` makes one.
pub fn secret() -> String {
    format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..))
}

/// A token for `examples/edge.yaml`, good for an hour.
pub fn sign(secret: &str, subject: &str, topics: &[&str]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    signed(
        secret,
        &json!({
            "iss": "https://login.example.com", "aud": "accounts", "exp": now + 3600, "sub": subject, "topics": topics,
        }),
    )
}

fn signed(secret: &str, claims: &Value) -> String {
    let part = |value: &Value| BASE64URL.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
    format!("{text}.{}", BASE64URL.encode(signature))
}
