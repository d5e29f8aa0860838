//! Which certificates a probe takes: those that the system's authorities vouch for, as browsers do, and, besides, the
//! one that the way's own Secret holds or an authority in there vouches for. Whoever made the Secret has chosen that
//! certificate, and whether browsers know its authority is not for a probe to say. It must be of this name and time.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

/// The certificates of a way's Secret.
#[derive(Clone, Debug, Default)]
pub struct Held {
    leaf: Option<CertificateDer<'static>>,
    authorities: Vec<CertificateDer<'static>>,
}

impl Held {
    /// Of a Secret of type kubernetes.io/tls; cert-manager puts the authority into `ca.crt`.
    pub fn of(secret: &Secret) -> Self {
        let pem = |key: &str| {
            let data = secret.data.as_ref().and_then(|data| data.get(key));
            let data = data.map(|value| value.0.as_slice()).unwrap_or_default();
            CertificateDer::pem_slice_iter(data).filter_map(Result::ok).collect::<Vec<_>>()
        };
        let mut chain = pem("tls.crt").into_iter();
        let leaf = chain.next();
        Self { leaf, authorities: chain.chain(pem("ca.crt")).collect() }
    }
}

/// Of this machine.
pub fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// TLS for one probe, by HTTP/1.1.
pub fn config(system: &RootCertStore, held: Held) -> Result<ClientConfig, Error> {
    let provider = Arc::new(default_provider());
    let verifier = Verifier::new(system, held)?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    config.alpn_protocols = vec!["http/1.1".into()];
    Ok(config)
}

#[derive(Debug)]
struct Verifier {
    authorities: Arc<WebPkiServerVerifier>,
    leaf: Option<CertificateDer<'static>>,
}

impl Verifier {
    fn new(system: &RootCertStore, held: Held) -> Result<Self, Error> {
        let mut roots = system.clone();
        roots.add_parsable_certificates(held.authorities);
        // Verifying needs at least one; of a leaf it vouches for nothing but itself.
        if roots.is_empty() {
            roots.add_parsable_certificates(held.leaf.clone());
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(roots.into(), default_provider().into()).build();
        let authorities = authorities.map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { authorities, leaf: held.leaf })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // Who vouches for it is all that is wrong: webpki looks at the time before, and we at the name. `Other` is
            // one that is an authority itself, as `openssl req -x509` makes them.
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
                if self.leaf.as_ref() == Some(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use super::*;
    use crate::controller::fixtures::secret;

    const DAY: u64 = 86_400;

    /// Signed by itself, good for a day.
    fn certificate(constraints: &str) -> String {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"])
            .args(["-subj", "/CN=x", "-addext", "subjectAltName=DNS:events.test", "-keyout", "/dev/null"])
            .args(["-addext", &format!("basicConstraints=critical,{constraints}")])
            .output()
            .expect("openssl is needed to make certificates");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap()
    }

    fn verify(held: &str, shown: &str, name: &str, in_days: u64) -> Result<(), String> {
        let verifier = Verifier::new(&system(), Held::of(&secret(&[("tls.crt", held)]))).unwrap();
        let shown = CertificateDer::from_pem_slice(shown.as_bytes()).unwrap();
        let now = UnixTime::since_unix_epoch(
            UnixTime::now().as_secs().checked_add(in_days * DAY).map(Duration::from_secs).unwrap(),
        );
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(&shown, &[], &name, &[], now).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn the_certificate_of_the_secret_is_taken_for_its_name_and_time_only() {
        for constraints in ["CA:FALSE", "CA:TRUE"] {
            let (one, other) = (certificate(constraints), certificate(constraints));
            assert_eq!(verify(&one, &one, "events.test", 0), Ok(()), "{constraints}");
            for (refused, why) in [
                (verify(&other, &one, "events.test", 0), "another one"),
                (verify("", &one, "events.test", 0), "none"),
                (verify(&one, &one, "other.test", 0), "another name"),
                (verify(&one, &one, "events.test", 2), "another time"),
            ] {
                assert!(refused.is_err(), "{constraints}: {why}");
            }
        }
    }

    #[test]
    fn an_authority_in_the_secret_vouches_for_others() {
        let own = certificate("CA:FALSE");
        let held = Held::of(&secret(&[("tls.crt", &certificate("CA:FALSE")), ("ca.crt", &own)]));
        let verifier = Verifier::new(&RootCertStore::empty(), held).unwrap();
        let shown = CertificateDer::from_pem_slice(own.as_bytes()).unwrap();
        let name = ServerName::try_from("events.test").unwrap();
        assert!(verifier.verify_server_cert(&shown, &[], &name, &[], UnixTime::now()).is_ok());
    }
}
