//! Issues tokens, good and bad ones, signed by ring rather than by the library that verifies them.

use std::{fs, path::Path, process::Command};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{self as by, KeyPair},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject};
use serde_json::{Value, json};

/// A private key, and what signs with it.
pub enum Issuer {
    Hs256(Vec<u8>),
    Hs512(Vec<u8>),
    Es256(by::EcdsaKeyPair),
    EdDsa(by::Ed25519KeyPair),
    Rsa(by::RsaKeyPair, &'static dyn by::RsaEncoding, &'static str),
}

impl Issuer {
    pub fn shared(secret: &[u8]) -> Self {
        Self::Hs256(secret.to_vec())
    }

    pub fn es256() -> Self {
        let random = SystemRandom::new();
        let algorithm = &by::ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = by::EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Es256(by::EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
    }

    pub fn ed25519() -> Self {
        let key = by::Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::EdDsa(by::Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    /// The key of a PEM file that openssl made.
    pub fn rsa(pem: &Path, encoding: &'static dyn by::RsaEncoding, algorithm: &'static str) -> Self {
        let key = PrivatePkcs8KeyDer::from_pem_file(pem).unwrap();
        Self::Rsa(by::RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap(), encoding, algorithm)
    }

    /// One whose key is in files that openssl makes: `NAME.pem`, and the public one as `NAME.pub`.
    pub fn openssl(folder: &Path, name: &str, options: &[&str]) -> Self {
        let run = |arguments: &[&str]| {
            let made = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl is needed");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        };
        let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
        run(&[&["genpkey", "-out", &private], options].concat());
        run(&["pkey", "-in", &private, "-pubout", "-out", &public]);
        let private = folder.join(private);
        let random = SystemRandom::new();
        match options {
            ["-algorithm", "RSA", ..] => Self::rsa(&private, &by::RSA_PKCS1_SHA256, "RS256"),
            ["-algorithm", "EC", ..] => {
                let key = PrivatePkcs8KeyDer::from_pem_file(private).unwrap();
                let algorithm = &by::ECDSA_P256_SHA256_FIXED_SIGNING;
                Self::Es256(by::EcdsaKeyPair::from_pkcs8(algorithm, key.secret_pkcs8_der(), &random).unwrap())
            }
            _ => {
                let key = PrivatePkcs8KeyDer::from_pem_file(private).unwrap();
                Self::EdDsa(by::Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der()).unwrap())
            }
        }
    }

    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Hs256(_) => "HS256",
            Self::Hs512(_) => "HS512",
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
            Self::Rsa(_, _, algorithm) => algorithm,
        }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Hs256(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().into(),
            Self::Hs512(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, secret), message).as_ref().into(),
            Self::Es256(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().into(),
            Self::EdDsa(key) => key.sign(message).as_ref().into(),
            Self::Rsa(key, encoding, _) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token of a head and claims that are written out.
    pub fn token_of(&self, head: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64(head), base64(claims));
        format!("{message}.{}", base64(self.sign(message.as_bytes())))
    }

    pub fn token_by(&self, kid: &str, claims: &Value) -> String {
        let head = json!({"alg": self.algorithm(), "typ": "JWT", "kid": kid});
        self.token_of(&head.to_string(), &claims.to_string())
    }

    pub fn token(&self, claims: &Value) -> String {
        self.token_of(&json!({"alg": self.algorithm(), "typ": "JWT"}).to_string(), &claims.to_string())
    }

    /// Its public key as a member of a key set.
    pub fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Es256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": base64(x), "y": base64(y)})
            }
            Self::EdDsa(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64(key.public_key())})
            }
            Self::Rsa(key, ..) => {
                let public = by::RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "kid": kid, "n": base64(public.n), "e": base64(public.e)})
            }
            Self::Hs256(secret) | Self::Hs512(secret) => json!({"kty": "oct", "kid": kid, "k": base64(secret)}),
        }
    }
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a public key's file, and of the DER in it: what an attacker has who wants to sign with them.
pub fn public_bytes(file: &Path) -> [Vec<u8>; 2] {
    let der = SubjectPublicKeyInfoDer::from_pem_file(file).unwrap();
    [fs::read(file).unwrap(), der.as_ref().to_vec()]
}

/// Seconds since 1970, from now.
pub fn from_now(seconds: i64) -> i64 {
    jiff::Timestamp::now().as_second() + seconds
}

/// The claims of a good token of someone who may read all.
pub fn claims(subject: &str) -> Value {
    json!({"sub": subject, "exp": from_now(3600), "topics": ["*"]})
}
