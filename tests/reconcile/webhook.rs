//! Admission webhooks of others: one that takes its time, and one that refuses for a while.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use ssefleet_tests::{
    Must,
    faults::{Verb, on},
    stream::{condition, is},
    wait,
};
use tokio::{net::TcpListener, time::sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{arena::Arena, process::PATIENCE};

const TOLD: &str = "the registry of this company is not the one";

#[tokio::test]
async fn a_slow_webhook_is_waited_for_and_a_refusal_is_told_until_it_is_lifted() {
    let arena = Arena::new("webhook").await;
    let webhook = Webhook::install(&arena, Duration::from_secs(3)).await;
    let spec = json!({"broker": {"memory": {}}, "fleet": {"replicas": 1}});
    arena.apply(&spec).await;
    let begun = Instant::now();
    let operator = arena.operator();
    arena.settled().await;
    assert!(begun.elapsed() >= Duration::from_secs(3), "the webhook was not asked");
    operator.reconciled(1.0).await;
    assert_eq!(operator.sum("ssefleet_operator_reconcile_errors_total").await, 0.0);

    webhook.refuse(true);
    let other = json!({"broker": {"memory": {}}, "fleet": {"replicas": 1, "pod": {"image": "elsewhere/sse-node:1"}}});
    arena.apply(&other).await;
    let what = "Degraded tells what the webhook said";
    let told = |stream: Option<&ssefleet_crds::SseStream>| {
        stream.and_then(|stream| condition(stream, "Degraded")).is_some_and(|it| it.message.contains(TOLD))
    };
    let stream = wait::until(&arena.api(), "quotes", what, PATIENCE, told).await.must("read the stream");
    assert!(is(&stream, "Ready", "False") && is(&stream, "Degraded", "True"));
    webhook.refuse(false);
    let lifted = |stream: Option<&ssefleet_crds::SseStream>| {
        stream.and_then(|stream| condition(stream, "Degraded")).is_some_and(|it| !it.message.contains(TOLD))
    };
    wait::until(&arena.api(), "quotes", "Degraded tells of it no more", PATIENCE, lifted).await;
    let tries = arena.proxy.seen().into_iter().filter(on(Verb::Patch, "deployments")).count();
    assert!(tries <= 8, "{tries} tries");
}

/// A validating webhook for the Deployments of one namespace.
struct Webhook {
    configurations: Api<ValidatingWebhookConfiguration>,
    name: String,
    refuses: Arc<AtomicBool>,
    _end: DropGuard,
}

impl Webhook {
    async fn install(arena: &Arena, delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.must("listen on loopback");
        let port = listener.local_addr().must("know the port").port();
        let refuses = Arc::new(AtomicBool::new(false));
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(serve(listener, tls(arena), delay, refuses.clone())));
        let authority = std::fs::read(arena.server.pki("ca.crt")).must("read the authority");
        let name = format!("{}.test", arena.namespace);
        let wanted = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [{
                "name": format!("deployments.{name}.example"),
                "clientConfig": {
                    "url": format!("https://127.0.0.1:{port}/"), "caBundle": BASE64_STANDARD.encode(authority),
                },
                "rules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"],
                    "operations": ["CREATE", "UPDATE"],
                }],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": arena.namespace}},
                "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 10,
                "admissionReviewVersions": ["v1"],
            }],
        });
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(arena.admin.clone());
        let wanted = serde_json::from_value(wanted).must("write a webhook's configuration");
        configurations.create(&PostParams::default(), &wanted).await.must("install a webhook");
        let webhook = Self { configurations, name, refuses, _end: end.drop_guard() };
        webhook.until_asked(arena).await;
        webhook
    }

    /// The API server takes a moment to hear of a webhook: it is tried until it refuses.
    async fn until_asked(&self, arena: &Arena) {
        self.refuse(true);
        let probe = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "probe"}, "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}},
        }});
        let probe = serde_json::from_value(probe).must("write a Deployment");
        let begun = Instant::now();
        let deployments = arena.api::<k8s_openapi::api::apps::v1::Deployment>();
        while deployments.create(&PostParams { dry_run: true, ..Default::default() }, &probe).await.is_ok() {
            assert!(begun.elapsed() < PATIENCE, "the webhook is never asked");
            sleep(Duration::from_millis(100)).await;
        }
        self.refuse(false);
    }

    fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        // Only this namespace's Deployments were its concern, and the server ends with the tests.
        let (configurations, name) = (self.configurations.clone(), self.name.clone());
        tokio::spawn(async move { configurations.delete(&name, &DeleteParams::default()).await.ok() });
    }
}

fn tls(arena: &Arena) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(arena.server.pki("webhook.crt")).must("read a certificate")];
    let key = PrivateKeyDer::from_pem_file(arena.server.pki("webhook.key")).must("read a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.must("choose TLS versions").with_no_client_auth().with_single_cert(chain, key);
    TlsAcceptor::from(Arc::new(config.must("use the certificate")))
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, delay: Duration, refuses: Arc<AtomicBool>) {
    loop {
        let Ok((connection, _)) = listener.accept().await else { continue };
        let (tls, refuses) = (tls.clone(), refuses.clone());
        tokio::spawn(async move {
            let Ok(connection) = tls.accept(connection).await else { return };
            let service = service_fn(|request| review(request, delay, refuses.load(Ordering::Relaxed)));
            http1::Builder::new().serve_connection(TokioIo::new(connection), service).await.ok();
        });
    }
}

async fn review(
    request: Request<Incoming>,
    delay: Duration,
    refuses: bool,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.must("read a review").to_bytes();
    let review: Value = serde_json::from_slice(&body).must("parse a review");
    if !refuses {
        sleep(delay).await; // what this webhook is for
    }
    let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
        "uid": review["request"]["uid"], "allowed": !refuses, "status": {"code": 403, "message": TOLD},
    }});
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::from(answer.to_string())).must("answer a review"))
}
