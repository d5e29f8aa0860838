//! StreamVerified: the operator sees by itself what each way in does to a stream, says what to do about it, and sees
//! that it was done.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};
use ssefleet_crds::SseStream;
use ssefleet_tests::{
    Must, cluster, figures, manifest,
    namespace::Namespace,
    nginx,
    settings::Services,
    stream::{Stream, condition},
};
use tokio::net::TcpStream;

/// A pod that starts, a round of 22 s that finds a fault at its end, the one that confirms it, and the wait for the one
/// that finds it mended.
const PROBED: Duration = Duration::from_mins(3);

/// Waits until StreamVerified says so of the newest spec; returns its message.
async fn until_verified(stream: &Stream, status: &str, reason: &str) -> String {
    let says = |stream: &SseStream| {
        condition(stream, "StreamVerified").is_some_and(|verified| {
            (verified.status.as_str(), verified.reason.as_str()) == (status, reason)
                && verified.observed_generation == stream.metadata.generation
        })
    };
    let found = stream.until(&format!("StreamVerified is {status} for {reason}"), PROBED, says).await;
    let last = found.status.as_ref().and_then(|status| status.last_probe.as_ref()).must("find a last probe");
    assert_eq!(last.result, reason);
    if reason == "Streaming" {
        // On a busy machine some come late, and those after them sooner; how many may is what the operator judges.
        assert!(last.spacing_ms.is_some_and(|ms| (1..=200).contains(&ms)), "{last:?}");
        assert!(last.held_ms.is_some_and(|ms| ms >= 20_000), "{last:?}");
    }
    condition(&found, "StreamVerified").must("find the condition").message.clone()
}

fn exposed(name: &str) -> Value {
    let mut stream = manifest::with(manifest::memory(), &json!({"exposure": {"ingress": {"controller": "Traefik"}}}));
    stream["metadata"]["name"] = json!(name);
    stream
}

#[tokio::test]
async fn a_proxy_told_to_buffer_or_to_cut_is_found_and_verified_once_it_is_mended() {
    let cluster = cluster().await;
    let here = cluster.namespace("verified").await;
    let stream = here.apply(exposed("quotes")).await;
    stream.ready().await;
    until_verified(&stream, "True", "Streaming").await;
    let status = stream.get().await.status.unwrap_or_default();
    let last = status.last_probe.must("find a last probe");
    figures::record(
        "a probe through Traefik: first byte, spacing of comments sent 100 ms apart",
        &format!("{} ms, {} ms", last.first_byte_ms.unwrap_or(-1), last.spacing_ms.unwrap_or(-1)),
    );

    // Traefik again, by its provider for the annotations of ingress-nginx.
    let nginx = |annotations: Value| {
        json!({"exposure": {"ingress": {
            "className": "nginx", "controller": "IngressNginx", "annotations": annotations,
        }}})
    };
    stream.edit_spec(nginx(json!({"nginx.ingress.kubernetes.io/proxy-buffering": "on"}))).await;
    let message = until_verified(&stream, "False", "Buffered").await;
    assert!(message.contains("10 comments sent 100 ms apart arrived together after "), "{message}");
    assert!(message.contains("proxy-buffering to \"on\": remove it there, or set it to \"off\""), "{message}");
    assert_eq!(condition(&stream.get().await, "Ready").must("find Ready").status, "True", "Ready is another matter");

    stream
        .edit_spec(nginx(json!({
            "nginx.ingress.kubernetes.io/proxy-buffering": null, "nginx.ingress.kubernetes.io/proxy-read-timeout": "2",
        })))
        .await;
    let message = until_verified(&stream, "False", "CutShort").await;
    assert!(message.contains("proxy-read-timeout to \"2\""), "{message}");

    stream.edit_spec(nginx(json!({"nginx.ingress.kubernetes.io/proxy-read-timeout": null}))).await;
    until_verified(&stream, "True", "Streaming").await;
}

/// On this machine, as the cluster sees it.
#[tokio::test]
async fn an_nginx_in_front_that_allows_two_seconds_of_silence_is_found_and_its_repair_is_seen() {
    let cluster = cluster().await;
    let reached = cluster.access.settings.services == Services::Direct;
    assert!(reached, "the cluster does not reach this machine, where the nginx of this test is");
    let here = cluster.namespace("verified-nginx").await;
    let ingress = &cluster.access.settings.ingress.address;
    let mut nginx = Nginx::before(ingress, "2s").await;
    let mut wanted = exposed("quotes");
    wanted["spec"]["exposure"]["probe"] = json!({"address": nginx.address.to_string()});
    let stream = here.apply(wanted).await;
    let message = until_verified(&stream, "False", "CutShort").await;
    assert!(message.contains(&format!("by {}", nginx.address)), "{message}");
    assert!(message.contains("s after its last byte"), "{message}");
    // The stream stays as it is: the operator looks again by itself.
    nginx.again("24h").await;
    until_verified(&stream, "True", "Streaming").await;
}

/// An Envoy route is cut at `timeouts.request`, and at 15 s if there is none.
#[tokio::test]
async fn an_envoy_gateways_route_is_verified_only_without_a_deadline() {
    let cluster = cluster().await;
    let address = cluster.access.settings.must_have_envoy();
    let here = cluster.namespace("verified-envoy").await;
    let routed = async |name: &str, timeouts: Value| {
        let mut wanted = exposed(name);
        wanted["spec"]["exposure"]["probe"] = json!({"address": address});
        let stream = here.apply(wanted).await;
        route(&here, &stream, timeouts).await;
        stream
    };
    let two = routed("two", json!({"request": "2s"})).await;
    let unset = routed("unset", Value::Null).await;
    let zero = routed("zero", json!({"request": "0s"})).await;
    let (two_says, unset_says, _) = tokio::join!(
        until_verified(&two, "False", "CutShort"),
        until_verified(&unset, "False", "CutShort"),
        until_verified(&zero, "True", "Streaming"),
    );
    // Envoy hangs up up to a second after it has given up (its delayed_close_timeout).
    let cut_after =
        |says: &str, seconds: [u32; 2]| seconds.iter().any(|s| says.contains(&format!("was cut after {s}.")));
    assert!(cut_after(&two_says, [2, 3]), "{two_says}");
    assert!(cut_after(&unset_says, [15, 16]), "{unset_says}");
    for stream in [&two, &unset] {
        route(&here, stream, json!({"request": "0s"})).await;
    }
    tokio::join!(until_verified(&two, "True", "Streaming"), until_verified(&unset, "True", "Streaming"));
}

/// A route of the shared Gateway to a stream's nodes, under the stream's host.
async fn route(here: &Namespace, stream: &Stream, timeouts: Value) {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute"));
    let routes: Api<DynamicObject> = Api::namespaced_with(here.access.client.clone(), &here.name, &kind);
    let mut rule = json!({"backendRefs": [{"name": stream.name, "port": 80}]});
    if !timeouts.is_null() {
        rule["timeouts"] = timeouts;
    }
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": stream.name},
        "spec": {
            "parentRefs": [{"name": "envoy", "namespace": "envoy-gateway-system"}],
            "hostnames": [stream.host], "rules": [rule],
        },
    });
    let applied = routes.patch(&stream.name, &PatchParams::apply("e2e").force(), &Patch::Apply(&route)).await;
    applied.must(format_args!("apply HTTPRoute {}", stream.name));
}

/// nginx on this machine.
struct Nginx {
    address: SocketAddr,
    upstream: String,
    folder: tempfile::TempDir,
    process: Child,
}

impl Nginx {
    /// At the address by which this machine reaches `upstream`, and is reached from there.
    async fn before(upstream: &str, read_timeout: &str) -> Self {
        let socket = UdpSocket::bind("0.0.0.0:0").must("open a socket");
        socket.connect(upstream).must("find a way to the ingress"); // of UDP, it sends nothing
        let ours = socket.local_addr().must("read an address").ip();
        let free = TcpListener::bind((ours, 0)).must("find a free port");
        let address = free.local_addr().must("read an address");
        drop(free);
        let folder = tempfile::tempdir().must("make a folder");
        let process = start(folder.path(), address, upstream, read_timeout);
        let nginx = Self { address, upstream: upstream.into(), folder, process };
        nginx.listens().await;
        nginx
    }

    /// Ends it, and starts it with another timeout.
    async fn again(&mut self, read_timeout: &str) {
        self.end();
        self.process = start(self.folder.path(), self.address, &self.upstream, read_timeout);
        self.listens().await;
    }

    async fn listens(&self) {
        let listening = async {
            while TcpStream::connect(self.address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), listening).await.must("see nginx listen");
    }

    fn end(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.end();
    }
}

fn start(folder: &Path, address: SocketAddr, upstream: &str, read_timeout: &str) -> Child {
    let server = format!(
        "server {{
           listen {address};
           location / {{
             proxy_pass http://{upstream}; proxy_http_version 1.1; proxy_buffering off;
             proxy_set_header Host $http_host; proxy_set_header Connection \"\"; proxy_read_timeout {read_timeout};
           }}
         }}"
    );
    nginx::command(folder, nginx::ALONE, &server).stderr(Stdio::null()).spawn().must("start nginx")
}
