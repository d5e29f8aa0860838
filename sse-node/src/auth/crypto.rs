//! The cryptography of JSON Web Tokens, by ring, which TLS has brought already: a second library beside it (aws-lc-rs,
//! or the rsa crate with its timing flaw RUSTSEC-2023-0071) would be more to build, to ship and to trust. It
//! verifies; a node signs nothing.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind, new_error},
    signature::{self, Verifier},
};
use ring::{hmac, signature as by};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(not_here()),
    verifier_factory: |algorithm, key| Ok(Box::new(Ring::new(*algorithm, key)?)),
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(not_here()),
        rsa_pub_components_from_public_key: |_| Err(not_here()),
        ec_pub_components_from_private_key: |_, _| Err(not_here()),
        ed_pub_components_from_private_key: |_, _| Err(not_here()),
        compute_digest: |_, _| Err(not_here()),
    },
};

/// Must have been called before the first token is looked at.
pub fn install() {
    // It is there already when another node of this process was first.
    let _ = RING.install_default();
}

fn not_here() -> Error {
    new_error(ErrorKind::Provider("a node signs nothing".into()))
}

/// One key, for one algorithm.
struct Ring {
    algorithm: Algorithm,
    key: Key,
}

enum Key {
    Shared(hmac::Key),
    Public(&'static dyn by::VerificationAlgorithm, Vec<u8>),
    Rsa(&'static by::RsaParameters, by::RsaPublicKeyComponents<Vec<u8>>),
}

impl Ring {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        if !key.family().algorithms().contains(&algorithm) {
            return Err(new_error(ErrorKind::InvalidAlgorithm));
        }
        let key = match (key.family(), key.kind()) {
            (AlgorithmFamily::Hmac, DecodingKeyKind::SecretOrDer(secret)) => {
                Key::Shared(hmac::Key::new(hash(algorithm)?, secret))
            }
            (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                Key::Rsa(rsa(algorithm)?, by::RsaPublicKeyComponents { n: n.clone(), e: e.clone() })
            }
            (AlgorithmFamily::Rsa, DecodingKeyKind::SecretOrDer(der)) => Key::Public(rsa(algorithm)?, der.clone()),
            (_, DecodingKeyKind::SecretOrDer(point)) => Key::Public(curve(algorithm)?, point.clone()),
            _ => return Err(new_error(ErrorKind::InvalidKeyFormat)),
        };
        Ok(Self { algorithm, key })
    }
}

fn hash(algorithm: Algorithm) -> Result<hmac::Algorithm, Error> {
    match algorithm {
        Algorithm::HS256 => Ok(hmac::HMAC_SHA256),
        Algorithm::HS384 => Ok(hmac::HMAC_SHA384),
        Algorithm::HS512 => Ok(hmac::HMAC_SHA512),
        _ => Err(new_error(ErrorKind::InvalidAlgorithm)),
    }
}

/// Of 2048 bits at least, RFC 7518 3.3 and 3.5.
fn rsa(algorithm: Algorithm) -> Result<&'static by::RsaParameters, Error> {
    match algorithm {
        Algorithm::RS256 => Ok(&by::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Ok(&by::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Ok(&by::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Ok(&by::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Ok(&by::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Ok(&by::RSA_PSS_2048_8192_SHA512),
        _ => Err(new_error(ErrorKind::InvalidAlgorithm)),
    }
}

/// Signatures are two numbers of fixed length, RFC 7518 3.4, rather than the DER of X.509.
fn curve(algorithm: Algorithm) -> Result<&'static dyn by::VerificationAlgorithm, Error> {
    match algorithm {
        Algorithm::ES256 => Ok(&by::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Ok(&by::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Ok(&by::ED25519),
        _ => Err(new_error(ErrorKind::InvalidAlgorithm)),
    }
}

impl Verifier<Vec<u8>> for Ring {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match &self.key {
            Key::Shared(key) => hmac::verify(key, message, signature),
            Key::Public(algorithm, key) => by::UnparsedPublicKey::new(*algorithm, key).verify(message, signature),
            Key::Rsa(parameters, key) => key.verify(parameters, message, signature),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
