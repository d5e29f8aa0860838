//! Who gets through: the API server, by its certificate, and nobody else. Real TLS over a real socket.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;
use crate::custom_metrics::certificate::made;

/// What a client gets that shows this certificate, of a server that believes `front_proxy` and shows one of `ours`.
async fn answer(
    ours: &Authority,
    believed: &str,
    front_proxy: &FrontProxy,
    shown: Option<front_proxy::Identity>,
) -> String {
    let config = front_proxy.server(ours.issue("metrics", "ssefleet-system").unwrap()).unwrap();
    let current: Current = Arc::new(RwLock::new(Some((TlsAcceptor::from(Arc::new(config)), front_proxy.clone()))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // A client of Kubernetes that leads nowhere: what is asked here needs none.
    let nowhere = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let serving = tokio::spawn(accept(listener, Arc::new(Api::new(nowhere)), current));

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(believed.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        Some(shown) => builder.with_client_auth_cert(shown.chain, shown.key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let asking = async {
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::try_from("metrics.ssefleet-system.svc").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
        stream
            .write_all(b"GET /apis/custom.metrics.k8s.io/v1beta2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = asking.await;
    serving.abort();
    answer.unwrap_or_else(|error| format!("{error}"))
}

#[tokio::test]
async fn the_api_server_is_heard_and_nobody_else() {
    let ((ours, our_certificate), (theirs, their_certificate), (other, _)) = (made(), made(), made());
    let client = |authority: &Authority, name: &str| Some(authority.issue_client(name).unwrap());
    let front_proxy = FrontProxy::of(&their_certificate, r#"["front-proxy-client"]"#).unwrap();
    let ask = async |shown| answer(&ours, &our_certificate, &front_proxy, shown).await;

    let told = ask(client(&theirs, "front-proxy-client")).await;
    assert!(told.starts_with("HTTP/1.1 200 OK") && told.contains("pods/ssefleet_connections"), "{told}");
    for (who, shown) in [
        ("without a certificate", None),
        ("of another authority", client(&other, "front-proxy-client")),
        ("of this server's own", client(&ours, "front-proxy-client")),
        ("of another name", client(&theirs, "someone")),
    ] {
        let told = ask(shown).await;
        assert!(!told.contains("HTTP/1.1"), "{who}: {told}");
    }
    let any = FrontProxy::of(&their_certificate, "[]").unwrap();
    assert!(answer(&ours, &our_certificate, &any, client(&theirs, "x")).await.starts_with("HTTP/1.1 200"));
    assert!(matches!(FrontProxy::of("", ""), Err(Error::NoFrontProxy)));
}
