//! `sse-node retry`: whoever is sent there gets a stream that says when to come back, whatever it asks for.

use std::{collections::BTreeSet, fs, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use serde_json::{Value, json};
use sse_node::changes::Changes;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

use crate::support::{eventually, send, stream};

struct Retry {
    address: std::net::SocketAddr,
    manifest: tempfile::NamedTempFile,
    stop: Option<oneshot::Sender<()>>,
    ended: tokio::task::JoinHandle<()>,
}

impl Retry {
    async fn start(spec: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, manifest) = (listener.local_addr().unwrap(), tempfile::NamedTempFile::new().unwrap());
        write(&manifest, spec);
        let (stop, stopped) = oneshot::channel::<()>();
        let changes = Changes::since_now(manifest.path().into());
        let serving = sse_node::retry::serve(changes, stream(spec), listener, async {
            stopped.await.ok();
        });
        let ended = tokio::spawn(async { serving.await.unwrap() });
        Self { address, manifest, stop: Some(stop), ended }
    }

    async fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path).header("host", "proxy");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, body) = send(self.address, request.body(Full::default()).unwrap()).await.into_parts();
        let body = timeout(Duration::from_secs(5), body.collect()).await.expect("it ends").unwrap().to_bytes();
        (head.status.as_u16(), head.headers, String::from_utf8(body.into()).unwrap())
    }
}

fn write(manifest: &tempfile::NamedTempFile, spec: &Value) {
    let object =
        json!({"apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream", "metadata": {"name": "a"}, "spec": spec});
    fs::write(manifest.path(), object.to_string()).unwrap();
}

fn spec(retry: &str) -> Value {
    json!({
        "broker": {"memory": {}}, "fleet": {"replicas": 1}, "connections": {"retry": retry},
        "cors": {"allowedOrigins": ["https://app.example.com"]},
    })
}

#[tokio::test]
async fn everyone_is_told_to_come_back_each_in_its_own_time() {
    let retry = Retry::start(&spec("2s")).await;
    let mut times = BTreeSet::new();
    for (method, path) in [("GET", "/events"), ("GET", "/"), ("GET", "/other?topic=a"), ("POST", "/events")] {
        let (status, headers, text) = retry.ask(method, path, &[("origin", "https://app.example.com")]).await;
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "text/event-stream"), "{method} {path}");
        assert_eq!(headers["access-control-allow-origin"], "https://app.example.com");
        let (first, rest) = text.split_once('\n').unwrap();
        let time: u64 = first.strip_prefix("retry: ").unwrap().parse().unwrap();
        assert!((1000..=3000).contains(&time), "{text}");
        assert!(rest.starts_with(": ") && rest.ends_with("\n\n"), "{text:?}");
        times.insert(time);
    }
    assert!(times.len() > 1, "all at once: {times:?}");
    let (_, headers, _) = retry.ask("GET", "/events", &[("origin", "https://evil.example.net")]).await;
    assert!(!headers.contains_key("access-control-allow-origin"));
    let preflight = [("origin", "https://app.example.com"), ("access-control-request-method", "GET")];
    let (status, headers, _) = retry.ask("OPTIONS", "/events", &preflight).await;
    assert_eq!((status, &headers["access-control-allow-methods"]), (200, &"GET, HEAD".parse().unwrap()));
    assert_eq!(retry.ask("GET", "/health", &[]).await.2, "ok\n");
}

#[tokio::test]
async fn a_changed_manifest_holds_at_once_and_a_stop_ends_it() {
    let mut retry = Retry::start(&spec("1s")).await;
    write(&retry.manifest, &spec("1m"));
    let longer = async || {
        let text = retry.ask("GET", "/events", &[]).await.2;
        text.strip_prefix("retry: ").unwrap().split_once('\n').unwrap().0.parse::<u64>().unwrap() >= 30_000
    };
    eventually("the new time holds", longer).await;
    retry.stop.take().unwrap().send(()).unwrap();
    timeout(Duration::from_secs(5), retry.ended).await.expect("it ends").unwrap();
}
