//! What the custom metrics API answers: which metrics there are, and what a namespace's pods have of them now.
//! <https://github.com/kubernetes/design-proposals-archive/blob/main/instrumentation/custom-metrics-api.md>

use std::time::Instant;

use futures_util::future::join_all;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Bytes, header};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{Api as Objects, Client, api::ListParams};
use serde_json::{Value, json};
use ssefleet_crds::names::{self, Component};

use crate::{controller::children::METRIC, nodes};

pub const GROUP: &str = "custom.metrics.k8s.io";
/// The newest first. They say the same in other words; the HPA controller takes the newest that it knows.
pub const VERSIONS: [&str; 2] = ["v1beta2", "v1beta1"];

/// Answers.
pub struct Api {
    client: Client,
    nodes: nodes::Client,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
enum Question<'a> {
    /// Which versions there are.
    Group,
    /// Which metrics there are.
    Metrics {
        version: &'static str,
    },
    /// What pods have of a metric.
    /// Of one pod, or of all.
    Values {
        version: &'static str,
        namespace: &'a str,
        pod: Option<&'a str>,
        metric: &'a str,
    },
    Other,
}

impl<'a> Question<'a> {
    fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let ["apis", GROUP, rest @ ..] = &parts[..] else { return Self::Other };
        let Some((version, rest)) = rest.split_first() else { return Self::Group };
        let Some(version) = VERSIONS.into_iter().find(|known| known == version) else { return Self::Other };
        match *rest {
            [] => Self::Metrics { version },
            ["namespaces", namespace, "pods", pod, metric] => {
                // Go's clients write the asterisk as %2A.
                let pod = (!["*", "%2A", "%2a"].contains(&pod)).then_some(pod);
                Self::Values { version, namespace, pod, metric }
            }
            _ => Self::Other,
        }
    }
}

impl Api {
    pub fn new(client: Client) -> Self {
        Self { client, nodes: nodes::Client::default() }
    }

    pub async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "metrics can only be read");
        }
        match Question::of(request.uri().path()) {
            Question::Group => respond(StatusCode::OK, &group()),
            Question::Metrics { version } => respond(StatusCode::OK, &metrics(version)),
            Question::Values { version, namespace, pod, metric: METRIC } => {
                self.values(version, namespace, pod, request.uri().query().unwrap_or_default()).await
            }
            Question::Values { metric, .. } => refused(
                StatusCode::NOT_FOUND,
                "NotFound",
                &format!("there is no metric {metric} of pods, only {METRIC}"),
            ),
            Question::Other => {
                refused(StatusCode::NOT_FOUND, "NotFound", "there are only metrics of a namespace's pods")
            }
        }
    }

    async fn values(&self, version: &str, namespace: &str, pod: Option<&str>, query: &str) -> Response<Full<Bytes>> {
        let pods = match self.pods(namespace, pod, query).await {
            Ok(pods) => pods,
            Err(kube::Error::Api(status)) => {
                let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return refused(code, &status.reason, &status.message);
            }
            Err(error) => {
                tracing::warn!(%error, namespace, "can't list the pods that metrics are asked of");
                return refused(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "ServiceUnavailable",
                    "the pods can't be listed for now",
                );
            }
        };
        // One that does not answer is left out: the HPA then takes care not to take nodes away for it.
        let reports = pods.iter().map(|pod| nodes::Report::of(pod, Instant::now())).filter(nodes::Report::serves);
        let asked = reports.map(async |node| match self.nodes.stats(node.ip?).await {
            Ok(stats) if !stats.draining => Some((node.pod, stats.active_connections)),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, namespace, node.pod, "a node does not tell its connections");
                None
            }
        });
        let values: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
        respond(StatusCode::OK, &list(version, namespace, &values, Timestamp::now()))
    }

    /// Of all that the question selects, those that are nodes.
    async fn pods(&self, namespace: &str, pod: Option<&str>, query: &str) -> Result<Vec<Pod>, kube::Error> {
        let pods = Objects::<Pod>::namespaced(self.client.clone(), namespace);
        let mut selector = format!(
            "{}={},app.kubernetes.io/component={}",
            names::MANAGED_BY,
            names::OPERATOR,
            Component::Node.as_str()
        );
        let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "labelSelector");
        if let Some((_, asked)) = asked.filter(|(_, asked)| !asked.is_empty()) {
            selector = format!("{selector},{asked}");
        }
        let params = ListParams::default().labels(&selector);
        let params = match pod {
            Some(pod) => params.fields(&format!("metadata.name={pod}")),
            None => params,
        };
        Ok(pods.list(&params).await?.items)
    }
}

fn group() -> Value {
    let version = |version| json!({"groupVersion": format!("{GROUP}/{version}"), "version": version});
    json!({
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": VERSIONS.map(version),
        "preferredVersion": version(VERSIONS[0]),
    })
}

fn metrics(version: &str) -> Value {
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{GROUP}/{version}"),
        "resources": [{
            "name": format!("pods/{METRIC}"),
            "singularName": "",
            "namespaced": true,
            "kind": "MetricValueList",
            "verbs": ["get"],
        }],
    })
}

fn list(version: &str, namespace: &str, values: &[(String, u64)], now: Timestamp) -> Value {
    let item = |(pod, connections): &(String, u64)| {
        let mut item = json!({
            "describedObject": {"kind": "Pod", "namespace": namespace, "name": pod, "apiVersion": "v1"},
            "timestamp": Timestamp::from_second(now.as_second()).unwrap_or(now).to_string(),
            "value": connections.to_string(),
        });
        if version == "v1beta1" {
            item["metricName"] = METRIC.into();
        } else {
            item["metric"] = json!({"name": METRIC});
        }
        item
    };
    json!({
        "kind": "MetricValueList",
        "apiVersion": format!("{GROUP}/{version}"),
        "metadata": {},
        "items": values.iter().map(item).collect::<Vec<_>>(),
    })
}

fn refused(status: StatusCode, reason: &str, message: &str) -> Response<Full<Bytes>> {
    let told = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status.as_u16(),
    });
    respond(status, &told)
}

fn respond(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_apart() {
        assert_eq!(Question::of("/apis/custom.metrics.k8s.io"), Question::Group);
        assert_eq!(Question::of("/apis/custom.metrics.k8s.io/v1beta1/"), Question::Metrics { version: "v1beta1" });
        for (written, pod) in [("*", None), ("%2A", None), ("quotes-5d9f-x2x4z", Some("quotes-5d9f-x2x4z"))] {
            let path =
                format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/market/pods/{written}/ssefleet_connections");
            let wanted =
                Question::Values { version: "v1beta2", namespace: "market", pod, metric: "ssefleet_connections" };
            assert_eq!(Question::of(&path), wanted);
        }
        for other in [
            "/",
            "/apis",
            "/openapi/v3",
            "/apis/custom.metrics.k8s.io/v1",
            "/apis/custom.metrics.k8s.io/v1beta2/nodes/*/cpu",
        ] {
            assert_eq!(Question::of(other), Question::Other, "{other}");
        }
    }

    #[test]
    fn each_version_has_its_own_words() {
        let values = [("quotes-5d9f-x2x4z".to_owned(), 42)];
        let told = VERSIONS.map(|version| list(version, "market", &values, Timestamp::default()));
        insta::assert_snapshot!(serde_json::to_string_pretty(&told).unwrap());
    }

    #[test]
    fn what_is_listed_is_what_the_api_server_looks_for() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&[group(), metrics("v1beta2")]).unwrap());
    }
}
