//! The pass that opens a probe: signed by the stream's admin token, which only the operator and the nodes know.

use std::fmt;

use k8s_openapi::jiff::Timestamp;
use ring::hmac;
use ssefleet_crds::probe::{Pass, Script};

/// What passes are signed with; never printed.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl Key {
    /// Of the first line of the token's Secret: nodes take any, so that one can be put beside another. None: there is none.
    pub fn of(tokens: &[u8]) -> Option<Self> {
        let mut tokens = tokens.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        tokens.find(|token| !token.is_empty()).map(|token| Self(hmac::Key::new(hmac::HMAC_SHA256, token)))
    }

    /// A pass of this moment, as the request's field has it.
    pub fn pass(&self, namespace: &str, stream: &str, script: Script) -> String {
        let made = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        let pass = Pass { script, made };
        pass.signed(hmac::sign(&self.0, pass.claim(namespace, stream).as_bytes()).as_ref())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}
