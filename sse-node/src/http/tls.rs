//! TLS on the public listener, with HTTP/2 by ALPN. The certificate is read anew when its file changes; those
//! who are connected keep the one they have.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use parking_lot::RwLock;
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{info, warn};

use super::first::Speaks;

/// How often the certificate is looked at. A kubelet takes up to a minute to bring a new one.
const LOOK: Duration = Duration::from_secs(1);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {error}")]
    File { path: String, error: rustls::pki_types::pem::Error },
    #[error("{path}: there is no certificate in it")]
    NoCertificate { path: String },
    #[error("the certificate and the key are of no use together: {0}")]
    Refused(#[from] rustls::Error),
}

/// A certificate and its key, as they are now.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    acceptor: RwLock<TlsAcceptor>,
}

impl Tls {
    /// From PEM files: the chain, and the key.
    pub fn load(certificate: PathBuf, key: PathBuf) -> Result<Arc<Self>, TlsError> {
        let acceptor = RwLock::new(acceptor(&certificate, &key)?);
        Ok(Arc::new(Self { certificate, key, acceptor }))
    }

    /// Follows the files for ever. What is bad changes nothing.
    pub async fn watch(&self) {
        let read = || (std::fs::read(&self.certificate).ok(), std::fs::read(&self.key).ok());
        let mut known = read();
        loop {
            tokio::time::sleep(LOOK).await;
            let found = read();
            if found == known {
                continue;
            }
            known = found;
            match acceptor(&self.certificate, &self.key) {
                Ok(acceptor) => {
                    *self.acceptor.write() = acceptor;
                    info!("a new certificate is in use");
                }
                Err(error) => warn!(%error, "the certificate has changed and can't be used: the one before still is"),
            }
        }
    }

    pub async fn accept(&self, socket: TcpStream) -> io::Result<(TlsStream<TcpStream>, Speaks)> {
        let acceptor = self.acceptor.read().clone();
        let stream = acceptor.accept(socket).await?;
        let speaks = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Speaks::Http2,
            _ => Speaks::Http1,
        };
        Ok((stream, speaks))
    }
}

fn acceptor(certificate: &PathBuf, key: &PathBuf) -> Result<TlsAcceptor, TlsError> {
    let bad = |path: &PathBuf, error| TlsError::File { path: path.display().to_string(), error };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| bad(certificate, error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: certificate.display().to_string() });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error))?;
    let builder =
        ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
