//! A node in this process, nginx in front of it, and a round of probes by way of that.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, process::Stdio, sync::Arc, time::Duration};

use serde_json::json;
use sse_node::{
    Listeners, Setup, Stop,
    broker::{Retention, memory::Memory},
};
use sse_operator::probe::{Certificate, Finding, Held, Key, Plan, Secrets, Via, Way, round, system};
use ssefleet_crds::{Stream, manifest};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::oneshot,
    time::timeout,
};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const TOKEN: &str = "a-token-of-the-stream";

/// A node that runs in this process until it is dropped.
pub struct Node {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub stop: Option<oneshot::Sender<Stop>>,
    _secrets: TempDir,
}

impl Node {
    /// With this in its spec, and heartbeats every second.
    pub async fn start(spec: serde_json::Value) -> Self {
        let mut whole = json!({
            "fleet": {"replicas": 1}, "broker": {"memory": {}}, "connections": {"heartbeatInterval": "1s"},
        });
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let object = json!({
            "apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream",
            "metadata": {"name": "quotes", "namespace": "market"}, "spec": whole,
        });
        let stream = Stream::try_from(&manifest::read(&object.to_string()).unwrap()).unwrap();
        let secrets = tempfile::tempdir().unwrap();
        fs::create_dir(secrets.path().join("quotes-admin")).unwrap();
        fs::write(secrets.path().join("quotes-admin/token"), format!("a-new-one\n{TOKEN}\n")).unwrap();
        let setup = Setup {
            stream,
            changes: None,
            secrets: secrets.path().into(),
            broker: Arc::new(Memory::new(Retention::of_events(10))),
            name: Some("node-0".into()),
        };
        let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listeners = Listeners { public: bind().await, tls: None, publish: bind().await, admin: bind().await };
        let (public, admin) = (listeners.public.local_addr().unwrap(), listeners.admin.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(async move {
            let stop = async { stopped.await.unwrap_or(Stop::Interrupted) };
            sse_node::serve(setup, listeners, stop).await.unwrap();
        });
        Self { public, admin, stop: Some(stop), _secrets: secrets }
    }
}

/// An nginx with one server, which ends when it is dropped.
pub struct Nginx {
    pub address: SocketAddr,
    _process: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Hands on to `upstream`; `location` is what its location says besides.
    pub async fn before(upstream: SocketAddr, location: &str) -> Self {
        Self::start("", &format!("location / {{ proxy_pass http://{upstream}; {location} }}")).await
    }

    /// `listen` is what it says of its port besides.
    pub async fn start(listen: &str, server: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display().to_string();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
             events {{}}
             http {{ access_log off; {temporary} server {{ listen {address} {listen}; {server} }} }}"
        );
        fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let process = Command::new("nginx")
            .arg("-c")
            .arg(folder.path().join("nginx.conf"))
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx is needed");
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, listens).await.expect("nginx does not listen");
        Self { address, _process: process, _folder: folder }
    }
}

/// A way in as an Ingress of ingress-nginx would give it.
pub fn way(address: SocketAddr) -> Way {
    Way {
        via: Via::IngressNginx,
        address: address.ip().to_string(),
        port: address.port(),
        host: "events.test".into(),
        tls: None,
        overrides: BTreeMap::new(),
    }
}

pub fn plan(ways: Vec<Way>) -> Plan {
    Plan {
        namespace: "market".into(),
        name: "quotes".into(),
        generation: Some(1),
        path: "/events".into(),
        heartbeat: Duration::from_secs(1),
        ways,
    }
}

/// A round by this one way.
pub async fn probe(way: Way) -> Finding {
    probe_with(&plan(vec![way]), TOKEN, BTreeMap::new()).await
}

pub async fn probe_with(plan: &Plan, token: &str, held: BTreeMap<String, Held>) -> Finding {
    let secrets = Secrets { key: Key::of(token.as_bytes()).unwrap(), held };
    timeout(PATIENCE, round(plan, &secrets, &system())).await.expect("a round has an end")
}

/// The outcome in a word, and the message.
pub fn told(finding: &Finding) -> (&'static str, &str) {
    (finding.outcome.reason(), &finding.message)
}

/// By TLS, with the certificate of this Secret.
pub fn by_tls(address: SocketAddr, host: &str) -> Way {
    Way { host: host.into(), tls: Some(Certificate { secret: Some("events-tls".into()) }), ..way(address) }
}

/// Makes a certificate for `events.test` in a folder, and returns what a Secret would hold of it.
pub fn certify(folder: &Path) -> Held {
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"])
        .args(["-subj", "/CN=x", "-addext", "subjectAltName=DNS:events.test", "-keyout", "tls.key", "-out", "tls.crt"])
        .current_dir(folder)
        .output()
        .expect("openssl is needed to make certificates");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = fs::read(folder.join("tls.crt")).unwrap();
    Held::of(&secret("tls.crt", certificate))
}

fn secret(key: &str, value: Vec<u8>) -> k8s_openapi::api::core::v1::Secret {
    let data = [(key.to_owned(), k8s_openapi::ByteString(value))].into();
    k8s_openapi::api::core::v1::Secret { data: Some(data), ..Default::default() }
}
