//! A real HTTPS server of a key set, which counts who asks.

use std::{
    convert::Infallible,
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sse_node::http::tls::Tls;
use tokio::{net::TcpListener, task::AbortHandle};

use crate::world::Secrets;

/// A server of one document.
pub struct KeyServer {
    pub url: String,
    /// The PEM of its certificate, which is its own authority.
    pub certificate: Vec<u8>,
    answer: Arc<Mutex<Response<Full<Bytes>>>>,
    asked: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl KeyServer {
    pub async fn start(keys: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tls = certify(folder.path());
        let certificate = fs::read(folder.path().join("tls.crt")).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://localhost:{}/keys", listener.local_addr().unwrap().port());
        let (answer, asked) = (Arc::new(Mutex::new(document(keys))), Arc::new(AtomicUsize::new(0)));
        let serving = (answer.clone(), asked.clone());
        let task = tokio::spawn(async move {
            let (answer, asked) = serving;
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let Ok((stream, _)) = tls.accept(socket).await else { continue };
                let (answer, asked) = (answer.clone(), asked.clone());
                let service = service_fn(move |_: Request<Incoming>| {
                    asked.fetch_add(1, Ordering::Relaxed);
                    let answer = answer.lock().clone();
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, certificate, answer, asked, task: task.abort_handle() }
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub fn serve(&self, keys: &[Value]) {
        self.answer(document(keys));
    }

    pub fn answer(&self, response: Response<Full<Bytes>>) {
        *self.answer.lock() = response;
    }

    /// A `jwt` block of this set's keys; the authority goes into a Secret.
    pub fn block(&self, secrets: &Secrets) -> Value {
        secrets.write("ca", "ca.crt", &self.certificate);
        json!({
            "keys": [{"jwks": {"url": self.url, "caSecretRef": {"name": "ca", "key": "ca.crt"}}}],
            "algorithms": ["ES256", "EdDSA", "RS256"],
        })
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn document(keys: &[Value]) -> Response<Full<Bytes>> {
    Response::new(json!({"keys": keys}).to_string().into())
}

fn certify(folder: &Path) -> Arc<Tls> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "tls.key", "-out", "tls.crt"])
        .current_dir(folder)
        .output()
        .expect("openssl is needed to make certificates");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Tls::load(folder.join("tls.crt"), folder.join("tls.key")).unwrap()
}
