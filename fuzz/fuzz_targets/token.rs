//! A token that nobody has signed lets nobody in, wherever it stands; one that is signed, with any head and claims,
//! does only if its head says how and its claims are those of this stream. Of the input: a first byte below 128 is a
//! token as it is; else the head up to the first NUL, then the claims, which are signed here.
#![no_main]

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use ring::hmac;
use serde_json::{Value, json};
use sse_node::{
    auth::Auth,
    http::{ask::Ask, fields::Fields},
    metrics::Metrics,
};
use tokio::runtime::{Builder, Runtime};

const SECRET: &[u8] = b"a secret of thirty-two bytes, ok";

struct World {
    auth: Auth,
    runtime: Runtime,
    key: hmac::Key,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("jwt")).unwrap();
    std::fs::write(folder.path().join("jwt/key"), SECRET).unwrap();
    let key = json!({"secretRef": {"name": "jwt", "key": "key"}});
    let sources = json!([{"header": "Authorization"}, {"query": "token"}, {"cookie": "session"}]);
    let jwt =
        json!({"keys": [key], "algorithms": ["HS256"], "issuer": "me", "audience": "you", "tokenSources": sources});
    let declared = serde_json::from_value(json!({"jwt": jwt})).unwrap();
    let auth = Auth::new(&declared, folder.path().into(), Metrics::new().unwrap());
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    World { auth, runtime, key: hmac::Key::new(hmac::HMAC_SHA256, SECRET) }
});

fn let_in(query: &str, fields: &[(&str, &str)]) -> bool {
    let ask = Ask { query, fields: Fields::Raw(fields), peer: ([127, 0, 0, 1], 1).into() };
    let found = WORLD.runtime.block_on(WORLD.auth.subscriber(&ask));
    if let Err(denied) = &found {
        let told = denied.sentence();
        assert!(!told.contains(std::str::from_utf8(SECRET).unwrap()) && !told.contains(['\r', '\n', '\0']));
        denied.answer();
    }
    found.is_ok()
}

fuzz_target!(|input: &[u8]| {
    if input.first().is_none_or(|first| *first < 128) {
        let Ok(token) = std::str::from_utf8(input) else { return };
        assert!(!let_in(token, &[]));
        assert!(!let_in("", &[("Authorization", token)]));
        assert!(!let_in("", &[("authorization", &format!("Bearer {token}"))]));
        assert!(!let_in("", &[("Cookie", token), ("cookie", &format!("session={token}"))]));
        return;
    }
    let input = &input[1..];
    let end = input.iter().position(|b| *b == 0).unwrap_or(input.len());
    let (head, claims) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&WORLD.key, signed.as_bytes()));
    if let_in("", &[("Authorization", &format!("Bearer {signed}.{signature}"))]) {
        let head: Value = serde_json::from_slice(head).unwrap();
        let claims: Value = serde_json::from_slice(claims).unwrap();
        assert_eq!((&head["alg"], head.get("crit")), (&json!("HS256"), None));
        assert_eq!(claims["iss"], "me");
        assert!(claims["aud"] == "you" || claims["aud"].as_array().is_some_and(|all| all.contains(&json!("you"))));
        assert!(claims["exp"].as_f64().is_some_and(|exp| exp > 1_700_000_000.0), "{claims}");
    }
});
