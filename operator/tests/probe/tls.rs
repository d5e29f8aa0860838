//! The certificate of the way's Secret, and others.

use std::collections::BTreeMap;

use serde_json::json;

use crate::world::{Nginx, Node, by_tls, certify, plan, probe_with, told};

#[tokio::test]
async fn the_secrets_certificate_is_verified_and_no_other_is() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (held, strange) = (certify(folder.path()), certify(other.path()));
    let node = Node::start(json!({})).await;
    let at = folder.path().display();
    let server = format!(
        "ssl_certificate {at}/tls.crt; ssl_certificate_key {at}/tls.key;
         location / {{ proxy_pass http://{}; proxy_http_version 1.1; proxy_buffering off; }}",
        node.public
    );
    let nginx = Nginx::start("ssl", &server).await;
    let asked = async |host: &str, held| {
        let held = BTreeMap::from([("events-tls".to_owned(), held)]);
        probe_with(&plan(vec![by_tls(nginx.address, host)]), "a-token-of-the-stream", held).await
    };
    let (good, of_another, of_another_name) =
        tokio::join!(asked("events.test", held.clone()), asked("events.test", strange), asked("other.test", held));
    assert_eq!(told(&good).0, "Streaming", "{good:?}");
    for bad in [of_another, of_another_name] {
        let (outcome, message) = told(&bad);
        assert_eq!(outcome, "TlsFailed", "{message}");
        assert!(message.contains("kubectl describe secret events-tls"), "{message}");
    }
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_as_that() {
    let node = Node::start(json!({})).await;
    let finding = probe_with(&plan(vec![by_tls(node.public, "events.test")]), "x", BTreeMap::new()).await;
    assert_eq!(told(&finding).0, "TlsFailed", "{finding:?}");
}
