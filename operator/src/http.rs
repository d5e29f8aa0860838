//! The operator's own listener: /healthz, /readyz and /metrics.

use std::{
    convert::Infallible,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Bytes, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Whether this replica does its part: it stands by, or its caches are filled.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Answers probes and scrapes until it is dropped.
pub async fn serve(listener: TcpListener, metrics: Metrics, readiness: Readiness) {
    loop {
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => {
                // Out of file descriptors, mostly: give the others time to close.
                tracing::warn!(%error, "can't accept a probe");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (metrics, readiness) = (metrics.clone(), readiness.clone());
        let service = service_fn(move |request: Request<_>| {
            let response = answer(request.method(), request.uri().path(), &metrics, &readiness);
            async { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(connection), service),
        );
    }
}

fn answer(method: &Method, path: &str, metrics: &Metrics, readiness: &Readiness) -> Response<Full<Bytes>> {
    let (status, text) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/healthz") => (StatusCode::OK, "ok\n".into()),
        (&Method::GET | &Method::HEAD, "/readyz") if readiness.get() => (StatusCode::OK, "ok\n".into()),
        (&Method::GET | &Method::HEAD, "/readyz") => {
            (StatusCode::SERVICE_UNAVAILABLE, "the caches are not filled yet\n".into())
        }
        (&Method::GET | &Method::HEAD, "/metrics") => match metrics.text() {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        _ => (StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n".into()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let text = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readyz_says_when_and_metrics_are_listed() {
        let (metrics, readiness) = (Metrics::new().unwrap(), Readiness::default());
        let status = |path| answer(&Method::GET, path, &metrics, &readiness).status().as_u16();
        assert_eq!((status("/healthz"), status("/readyz"), status("/nowhere")), (200, 503, 404));
        readiness.set(true);
        assert_eq!((status("/readyz"), status("/metrics")), (200, 200));
        metrics.write("Deployment", "apply");
        let text = metrics.text().unwrap();
        assert!(text.contains(r#"ssefleet_operator_api_writes_total{kind="Deployment",verb="apply"} 1"#), "{text}");
        assert!(text.contains("ssefleet_operator_leader 0"), "{text}");
    }
}
