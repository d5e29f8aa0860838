//! TLS as a client: whose certificates are trusted.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem, pem::PemObject},
};

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("the certificate authorities of {path} can't be read: {error}")]
    Authority { path: String, error: pem::Error },
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Trusts the authorities of a PEM file; without one, those of the system.
pub fn trusting(authority: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = authority {
        let bad = |error| TrustError::Authority { path: path.display().to_string(), error };
        let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        roots.add_parsable_certificates(found.map_err(bad)?);
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let builder =
        ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
