//! Who may call: Kubernetes' API server alone, which shows a certificate of the "front proxy" authority. Both are told
//! by a ConfigMap that the API server itself writes, and that changes when they are rotated.
//! <https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/#authentication-flow>

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use webpki::EndEntityCert;

use super::{Error, common_name::common_names};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// What the API server shows itself with.
#[derive(Clone, Debug)]
pub struct FrontProxy {
    roots: Arc<RootCertStore>,
    /// The common names of its certificate; any, if there are none.
    names: Vec<String>,
}

/// A certificate chain and its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl FrontProxy {
    pub async fn read(client: &Client) -> Result<Self, Error> {
        let found = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE).get(NAME).await;
        let failed = |source| Error::Kube {
            verb: "read",
            what: format!("the ConfigMap {NAMESPACE}/{NAME}"),
            source: Box::new(source),
        };
        let data = found.map_err(failed)?.data.unwrap_or_default();
        let get = |key: &str| data.get(key).map(String::as_str).unwrap_or_default();
        Self::of(get("requestheader-client-ca-file"), get("requestheader-allowed-names"))
    }

    /// The authority as PEM, and the names as a JSON array.
    pub fn of(authority: &str, names: &str) -> Result<Self, Error> {
        if authority.trim().is_empty() {
            return Err(Error::NoFrontProxy);
        }
        let bad = |error: &dyn ToString| Error::BadFrontProxy(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
            roots.add(certificate.map_err(|error| bad(&error))?)?;
        }
        let names = match names.trim() {
            "" => Vec::new(),
            names => serde_json::from_str(names).map_err(|error| bad(&error))?,
        };
        Ok(Self { roots: Arc::new(roots), names })
    }

    /// TLS that only those get through who show a certificate of the authority.
    pub fn server(&self, Identity { chain, key }: Identity) -> Result<ServerConfig, Error> {
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots.clone(), provider.clone())
            .build()
            .map_err(|error| Error::BadFrontProxy(error.to_string()))?;
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Whether a certificate of the authority is one of those that are named.
    pub fn admits(&self, certificate: &CertificateDer<'_>) -> bool {
        self.names.is_empty()
            || EndEntityCert::try_from(certificate).is_ok_and(|certificate| {
                common_names(certificate.subject()).into_iter().any(|name| self.names.iter().any(|known| known == name))
            })
    }
}
