//! Attacks on JSON Web Tokens, each against a node that takes RS256, ES256 and EdDSA by public keys, and one that takes
//! HS256: all refused, for the reason that they should be. Prints how long each refusal takes.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    issuer::{Issuer, base64, claims, from_now, public_bytes},
    key_server::KeyServer,
    support::Node,
    world::{Client, SECRET, Secrets, get, node},
};

/// Tries of each, of which the middle time is told.
const TRIES: usize = 21;

struct Target {
    node: Node,
    good: String,
}

/// The middle time of a refusal, in microseconds, and why it was refused.
async fn refused(node: &Node, token: &str) -> (u128, String) {
    let mut client = Client::connect(node.public).await;
    client.ask(&get("/health", &[])).await;
    let request = get("/events", &[("Authorization", &format!("Bearer {token}"))]);
    let (mut times, mut why) = (Vec::new(), String::new());
    for _ in 0..TRIES {
        let begun = Instant::now();
        let answer = client.ask(&request).await;
        times.push(begun.elapsed().as_micros());
        assert_eq!(answer.status, 401, "let in, or not as it should be: {}", answer.text());
        why = answer.error();
        assert!(!answer.text().contains(token), "the token is told");
    }
    times.sort_unstable();
    (times[TRIES / 2], why)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn attacks_on_tokens_are_refused() {
    let secrets = Secrets::new();
    let folder = secrets.folder();
    let rsa = Issuer::openssl(&folder, "rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let ec = Issuer::openssl(&folder, "ec", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    for name in ["rsa", "ec"] {
        secrets.write(name, "public.pem", std::fs::read(folder.join(format!("{name}.pub"))).unwrap());
    }
    secrets.write("jwt", "secret", SECRET);
    let set_key = Issuer::ed25519();
    let server = KeyServer::start(&[set_key.jwk("set")]).await;
    let mut block = server.block(&secrets);
    let public = |name: &str, kid: &str| json!({"kid": kid, "publicKeyRef": {"name": name, "key": "public.pem"}});
    block["keys"].as_array_mut().unwrap().extend([public("rsa", "rsa"), public("ec", "ec")]);
    block["issuer"] = "https://login.example.com".into();
    block["audience"] = "quotes".into();
    let mut ours = claims("ann");
    (ours["iss"], ours["aud"]) = ("https://login.example.com".into(), json!(["other", "quotes"]));
    let asymmetric = Target { node: node(&json!({"jwt": block}), &secrets).await, good: ec.token_by("ec", &ours) };
    let hs = Issuer::shared(SECRET);
    let shared = json!({"jwt": {
        "keys": [{"secretRef": {"name": "jwt", "key": "secret"}}], "algorithms": ["HS256"], "leeway": "0s",
        "requiredClaims": ["exp", "nbf"],
    }});
    let mut plain = claims("ann");
    plain["nbf"] = from_now(-1).into();
    let symmetric = Target { node: node(&shared, &secrets).await, good: hs.token(&plain) };

    // So that it is the attack that is refused.
    for good in [
        (&asymmetric, &asymmetric.good),
        (&asymmetric, &rsa.token_by("rsa", &ours)),
        (&asymmetric, &set_key.token_by("set", &ours)),
        (&symmetric, &symmetric.good),
    ] {
        let mut client = Client::connect(good.0.node.public).await;
        let answer = client.ask(&get("/events", &[("Authorization", &format!("Bearer {}", good.1))])).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    let with = |claims: &Value, name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let without = |claims: &Value, name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let unsigned = |alg: &str, claims: &Value| {
        format!("{}.{}.", base64(json!({"alg": alg, "typ": "JWT"}).to_string()), base64(claims.to_string()))
    };
    let parts: Vec<&str> = symmetric.good.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("three parts") };
    let [pem, der] = public_bytes(&folder.join("rsa.pub"));
    let set_bytes = set_key.jwk("set")["x"].as_str().unwrap().as_bytes().to_vec();
    let thief = Issuer::es256();
    let injected = |name: &str, value: Value| {
        let mut head = json!({"alg": "ES256", "kid": "ec"});
        head[name] = value;
        thief.token_of(&head.to_string(), &ours.to_string())
    };
    let twice = |member: &str| {
        let claims = plain.to_string();
        hs.token_of(r#"{"alg":"HS256"}"#, &format!("{},{member}}}", claims.strip_suffix('}').unwrap()))
    };
    // The last character holds four bits of the signature and two that must be zero.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    let twin = format!("{head}.{body}.{}{next}", &signature[..signature.len() - 1]);
    let psychic =
        format!("{}.{}.{}", base64(r#"{"alg":"ES256","kid":"ec"}"#), base64(ours.to_string()), base64([0_u8; 64]));

    let (a, s) = (&asymmetric.node, &symmetric.node);
    let table: Vec<(&str, &Node, String, &str)> = vec![
        ("alg none", s, unsigned("none", &plain), "alg"),
        ("alg NoNe", s, unsigned("NoNe", &plain), "alg"),
        ("alg none, by a public key", a, unsigned("none", &ours), "alg"),
        ("alg empty", s, unsigned("", &plain), "alg"),
        ("alg missing", s, hs.token_of(r#"{"typ":"JWT"}"#, &plain.to_string()), "alg"),
        ("alg a list", s, hs.token_of(r#"{"alg":["HS256"]}"#, &plain.to_string()), "alg and kid are strings"),
        ("HS256 by the RSA key's PEM", a, Issuer::shared(&pem).token_by("rsa", &ours), "alg"),
        ("HS256 by the RSA key's DER", a, Issuer::shared(&der).token_by("rsa", &ours), "alg"),
        ("HS256 by the JWKS key's text", a, Issuer::shared(&set_bytes).token_by("set", &ours), "alg"),
        (
            "RS256 token named as ES256",
            a,
            rsa.token_of(r#"{"alg":"ES256","kid":"ec"}"#, &ours.to_string()),
            "signature",
        ),
        ("ES256 token, kid of the RSA key", a, ec.token_by("rsa", &ours), "a key that this stream does not know"),
        ("HS512 where HS256 is pinned", s, Issuer::Hs512(SECRET.to_vec()).token(&plain), "alg"),
        ("kid of another key", a, thief.token_by("ec", &ours), "signature"),
        ("kid ../../etc/passwd", a, thief.token_by("../../../../etc/passwd", &ours), "key"),
        ("kid /dev/null, empty secret", a, Issuer::shared(b"").token_by("/dev/null", &ours), "alg"),
        ("kid ' OR '1'='1", a, thief.token_by("' OR '1'='1", &ours), "key"),
        ("kid with NUL", a, thief.token_by("ec\0", &ours), "key"),
        ("kid a URL", a, thief.token_by(&server.url, &ours), "key"),
        ("kid a number", a, thief.token_of(r#"{"alg":"ES256","kid":1}"#, &ours.to_string()), "strings"),
        ("jku of the thief", a, injected("jku", "https://evil.example/keys".into()), "signature"),
        ("x5u of the thief", a, injected("x5u", "https://evil.example/cert".into()), "signature"),
        ("jwk in the head", a, injected("jwk", thief.jwk("ec")), "signature"),
        ("x5c in the head", a, injected("x5c", json!(["MIIB"])), "signature"),
        ("JWKS swap: a key of the other kid", a, thief.token_by("set", &ours), "key"),
        ("wrong issuer", a, ec.token_by("ec", &with(&ours, "iss", "https://evil.example".into())), "iss"),
        ("issuer a list", a, ec.token_by("ec", &with(&ours, "iss", json!([ours["iss"]]))), "iss"),
        ("issuer null", a, ec.token_by("ec", &with(&ours, "iss", Value::Null)), "iss"),
        ("no issuer", a, ec.token_by("ec", &without(&ours, "iss")), "iss"),
        ("wrong audience", a, ec.token_by("ec", &with(&ours, "aud", "quotes2".into())), "aud"),
        ("audience a number", a, ec.token_by("ec", &with(&ours, "aud", 5.into())), "aud"),
        ("no audience", a, ec.token_by("ec", &without(&ours, "aud")), "aud"),
        ("for an audience, none configured", s, hs.token(&with(&plain, "aud", "quotes".into())), "aud"),
        ("for a strange audience, none configured", s, hs.token(&with(&plain, "aud", 5.into())), "aud"),
        ("expired", s, hs.token(&with(&plain, "exp", from_now(-2).into())), "expired"),
        ("exp missing", s, hs.token(&without(&plain, "exp")), "exp"),
        ("exp null", s, hs.token(&with(&plain, "exp", Value::Null)), "exp"),
        ("exp a string", s, hs.token(&with(&plain, "exp", "9999999999".into())), "exp"),
        ("exp negative", s, hs.token(&with(&plain, "exp", (-1).into())), "exp"),
        ("exp beyond numbers", s, hs.token_of(r#"{"alg":"HS256"}"#, r#"{"exp":1e400,"nbf":0}"#), "exp"),
        ("not yet valid", s, hs.token(&with(&plain, "nbf", from_now(60).into())), "not good yet"),
        ("nbf missing", s, hs.token(&without(&plain, "nbf")), "nbf"),
        ("nbf a string", s, hs.token(&with(&plain, "nbf", "0".into())), "nbf"),
        ("issued in the future", s, hs.token(&with(&plain, "iat", from_now(60).into())), "not good yet"),
        ("sub a list", s, hs.token(&with(&plain, "sub", json!(["ann"]))), "claims"),
        ("topics a number", s, hs.token(&with(&plain, "topics", 1.into())), "topics"),
        ("crit unknown", s, hs.token_of(r#"{"alg":"HS256","crit":["x"],"x":1}"#, &plain.to_string()), "crit"),
        ("crit exp", s, hs.token_of(r#"{"alg":"HS256","crit":["exp"]}"#, &plain.to_string()), "crit"),
        ("crit empty", s, hs.token_of(r#"{"alg":"HS256","crit":[]}"#, &plain.to_string()), "crit"),
        ("crit b64 false", s, hs.token_of(r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, &plain.to_string()), "crit"),
        ("alg twice", s, hs.token_of(r#"{"alg":"none","alg":"HS256"}"#, &plain.to_string()), "twice"),
        ("sub twice", s, twice(r#""sub":"root""#), "twice"),
        ("sub twice, escaped", s, twice(r#""s\u0075b":"root""#), "twice"),
        ("unknown claim twice", s, twice(r#""x":1,"x":2"#), "twice"),
        ("oversized", s, hs.token(&with(&plain, "x", "x".repeat(9000).into())), "longer than"),
        ("claims no object", s, hs.token_of(r#"{"alg":"HS256"}"#, "[]"), "claims"),
        ("claims no JSON", s, hs.token_of(r#"{"alg":"HS256"}"#, "sub=ann"), "claims"),
        ("claims nested deep", s, hs.token_of(r#"{"alg":"HS256"}"#, &"{\"a\":".repeat(1000)), "claims"),
        (
            "claims not UTF-8",
            s,
            {
                let message = format!("{}.{}", base64(r#"{"alg":"HS256"}"#), base64(b"{\"sub\":\"\xff\"}"));
                format!("{message}.{}", base64(hs.sign(message.as_bytes())))
            },
            "claims",
        ),
        ("empty signature", s, format!("{head}.{body}."), "signature"),
        ("truncated signature", s, format!("{head}.{body}.{}", &signature[..20]), "signature"),
        ("signature of zeros (ES256)", a, psychic, "signature"),
        ("signature in DER (ES256)", a, format!("{}.MEUCIQ", asymmetric.good.rsplit_once('.').unwrap().0), "signature"),
        ("claims changed", s, format!("{head}.{}.{signature}", base64(claims("root").to_string())), "signature"),
        ("head changed", s, format!("{}.{body}.{signature}", base64(r#"{"alg":"HS256"}"#)), "signature"),
        ("two parts", s, format!("{head}.{body}"), "three parts"),
        ("four parts", s, format!("{}.x", symmetric.good), "three parts"),
        ("five parts (JWE)", s, format!("{}.x.x", symmetric.good), "three parts"),
        ("dots", s, "..".into(), "not a signed"),
        ("non-canonical base64", s, twin, "base64url"),
        ("padded base64", s, format!("{}=", symmetric.good), "base64url"),
        ("standard base64", s, format!("{head}.{body}.{}+/", &signature[..signature.len() - 2]), "base64url"),
        ("a JWS in JSON", s, "{\"payload\":\"e30\",\"signatures\":[]}".into(), "three parts"),
    ];
    let mut otherwise = Vec::new();
    println!("{:<44} {:>8}  why", "attack", "µs");
    for (attack, node, token, expected) in &table {
        let (micros, why) = refused(node, token).await;
        println!("{attack:<44} {micros:>8}  {why}");
        if !why.contains(expected) {
            otherwise.push(format!("{attack}: {why}"));
        }
    }
    assert!(otherwise.is_empty(), "refused for another reason: {otherwise:#?}");
    println!("{} attacks, all refused", table.len());
}
