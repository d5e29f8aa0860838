//! The operators behind the release: which of them leads, and what they count.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{Api, ResourceExt, api::ListParams};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    cluster::Access,
    dial::{self, Target, dial},
    must::Must,
    release, wait,
};

/// Longer than a lease lasts whose holder is gone.
const TAKEOVER: Duration = Duration::from_secs(90);

/// Waits until two operators are ready; returns the names of their pods.
pub async fn operators(access: &Access) -> Vec<String> {
    let pods: Api<Pod> = access.api(release::NAMESPACE);
    let selected = ListParams::default()
        .labels(&format!("app.kubernetes.io/instance={},app.kubernetes.io/component=operator", release::NAME));
    let met = |pods: &[Pod]| pods.len() == 2 && pods.iter().all(dial::is_ready);
    let pods = wait::until_list(&pods, selected, "two operators are ready and no other is left", TAKEOVER, met).await;
    pods.iter().map(Pod::name_any).collect()
}

/// Waits until an operator leads for which `wanted` holds; returns the name of its pod.
pub async fn leader(access: &Access, wanted: impl Fn(&str) -> bool) -> String {
    let leases: Api<Lease> = access.api(release::NAMESPACE);
    let met = |lease: Option<&Lease>| lease.and_then(holder).is_some_and(&wanted);
    let lease = wait::until(&leases, "sse-operator", "such an operator leads", TAKEOVER, met).await;
    lease.as_ref().and_then(holder).must("read the lease").to_owned()
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// What one operator's `/metrics` says.
pub struct Metrics(String);

impl Metrics {
    pub async fn of(access: &Access, pod: &str) -> Self {
        let target = Target::Pod { namespace: release::NAMESPACE.into(), name: pod.into(), port: 8080 };
        let mut connection = dial(access, &target).await.must(format_args!("connect to operator {pod}"));
        let request = Request::get("/metrics").header("host", "operator").body(Full::<Bytes>::default());
        let response = connection.send_request(request.must("ask for metrics")).await.must("read metrics");
        let body = response.into_body().collect().await.must("read metrics").to_bytes();
        Self(String::from_utf8_lossy(&body).into_owned())
    }

    /// Those of an operator that runs on this machine, if it answers already.
    pub async fn at(address: SocketAddr) -> Option<Self> {
        let mut connection = TcpStream::connect(address).await.ok()?;
        connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.ok()?;
        Some(Self(answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    /// The sum of a metric's samples, or of those with the labels that are named too, as in `name{label="value"}`;
    /// `None` if there are none.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let samples = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value = match rest.strip_prefix('{') {
                Some(labelled) => labelled.rsplit_once('}')?.1,
                None => rest.strip_prefix(' ')?,
            };
            value.split_whitespace().next()?.parse::<f64>().ok()
        });
        samples.fold(None, |sum, value| Some(sum.unwrap_or_default() + value))
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn samples_of_a_metric_are_summed() {
        let metrics = Metrics("# TYPE a counter\na{k=\"x}\"} 2\na{k=\"y\"} 3.5 1700000000\nab 9\nb 7e3\n".into());
        assert_eq!(metrics.sum("a"), Some(5.5));
        assert_eq!(metrics.sum("b"), Some(7000.0));
        assert_eq!(metrics.sum(r#"a{k="y"}"#), Some(3.5));
        assert_eq!(metrics.sum("c"), None);
    }
}
