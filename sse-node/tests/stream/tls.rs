//! TLS on the public listener, with real certificates: HTTP/2 by ALPN, and a new certificate without a restart.

use std::{fs, path::Path, process::Command, sync::Arc};

use hyper::Request;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::json;
use sse_node::{
    broker::{Retention, memory::Memory},
    http::tls::Tls,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Node, PATIENCE, stream};

/// Makes a certificate of its own authority for `localhost` in a folder, in the place of the one before.
pub fn certify(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "new.key",
            "-out",
            "new.crt",
        ])
        .current_dir(folder)
        .output()
        .expect("openssl is needed to make certificates");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::rename(folder.join("new.key"), folder.join("tls.key")).unwrap();
    fs::rename(folder.join("new.crt"), folder.join("tls.crt")).unwrap();
}

pub async fn connect(node: &Node, certificate: &Path, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.into()];
    let socket = TcpStream::connect(node.public).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), socket).await
}

#[tokio::test]
async fn streams_by_both_protocols_and_a_certificate_that_changes() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("tls.crt");
    certify(folder.path());
    let spec = json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}});
    let tls = Tls::load(certificate.clone(), folder.path().join("tls.key")).unwrap();
    let node = Node::start_with_tls(tls, stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await;

    let mut http1 = connect(&node, &certificate, "http/1.1").await.unwrap();
    http1.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let http2 = connect(&node, &certificate, "h2").await.unwrap();
    assert_eq!(http2.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) = h2::client::handshake(http2).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://localhost/events").body(()).unwrap();
    let mut body = client.send_request(request, true).unwrap().0.await.unwrap().into_body();
    while node.metric("ssefleet_node_connections").await < 2 {
        tokio::task::yield_now().await;
    }
    node.publish(json!({"data": "hello"})).await;

    // The old certificate no longer, and the new one; those who are connected stay.
    let old = fs::read(&certificate).unwrap();
    certify(folder.path());
    let renewed = async {
        while connect(&node, &certificate, "h2").await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, renewed).await.expect("the new certificate is not in use");
    fs::write(folder.path().join("old.crt"), old).unwrap();
    assert!(connect(&node, &folder.path().join("old.crt"), "h2").await.is_err());
    node.publish(json!({"data": "again"})).await;

    let mut heard = String::new();
    while !heard.contains("data: again\n\n") {
        let bytes = timeout(PATIENCE, body.data()).await.unwrap().unwrap().unwrap();
        body.flow_control().release_capacity(bytes.len()).unwrap();
        heard.push_str(str::from_utf8(&bytes).unwrap());
    }
    assert!(heard.contains("data: hello\n\n"), "{heard}");
    let (mut heard, mut bytes) = (String::new(), [0; 4096]);
    while !heard.contains("data: again\n\n") {
        let count = timeout(PATIENCE, http1.read(&mut bytes)).await.unwrap().unwrap();
        assert!(count > 0, "{heard}");
        heard.push_str(str::from_utf8(&bytes[..count]).unwrap());
    }
    assert!(heard.starts_with("HTTP/1.1 200 OK") && heard.contains("data: hello\n\n"), "{heard}");
}

#[tokio::test]
async fn a_bad_certificate_gets_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let told = |result: Result<_, sse_node::http::tls::TlsError>| result.err().unwrap().to_string();
    assert!(told(Tls::load(certificate.clone(), key.clone())).contains("tls.crt"));
    certify(folder.path());
    fs::write(&certificate, "nothing").unwrap();
    assert!(told(Tls::load(certificate.clone(), key.clone())).contains("no certificate in it"));
    fs::write(&key, "nothing").unwrap();
    certify(folder.path());
    fs::write(&key, "nothing").unwrap();
    assert!(told(Tls::load(certificate, key)).contains("tls.key"));
}
