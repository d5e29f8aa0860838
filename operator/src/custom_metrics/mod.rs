//! The API `custom.metrics.k8s.io`, for clusters that have no adapter: with it a plain HorizontalPodAutoscaler scales a
//! stream on the connections of its nodes. There can be one provider of it in a cluster, so it is served only where the
//! chart's user asks for it (`customMetrics.enabled`).
//!
//! Kubernetes' API server passes requests on ("aggregates"): [`front_proxy`] knows it by its certificate, and nobody
//! else is heard. It has checked who asks, and whether they may. [`certificate`] is how this server shows itself,
//! [`api`] what it answers. Every replica serves, leader or not: the numbers are asked of the nodes with each request.

mod api;
mod certificate;
mod common_name;
mod front_proxy;

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use kube::Client;
use parking_lot::RwLock;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use self::{api::Api, certificate::Authority, front_proxy::FrontProxy};

/// Connections that are open at a time: the API server keeps a few.
const AT_A_TIME: usize = 64;
/// How long a handshake, or a head, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the front proxy's authority is looked at, and a new certificate is made.
const LOOK: Duration = Duration::from_mins(1);
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Where it is served.
#[derive(Clone, Debug)]
pub struct Place {
    /// The Service that leads here, and the name of the Secret with the authority of its certificate.
    pub service: String,
    /// Of both, and of the operator.
    pub namespace: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't {verb} {what}: {source}")]
    Kube { verb: &'static str, what: String, source: Box<kube::Error> },
    #[error("the Secret {0} holds no authority that can be used; delete it, and a new one is made")]
    BadSecret(String),
    #[error("can't make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error(
        "kube-system/extension-apiserver-authentication names no requestheader-client-ca-file: this cluster's API server does not aggregate APIs"
    )]
    NoFrontProxy,
    #[error("the certificates of the front proxy's authority can't be used: {0}")]
    BadFrontProxy(String),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// How connections are accepted now; none before there is a certificate.
type Current = Arc<RwLock<Option<(TlsAcceptor, FrontProxy)>>>;

/// Serves until it is dropped.
pub async fn serve(client: Client, place: Place, listener: TcpListener) {
    let current = Current::default();
    tokio::select! {
        () = keep(&client, &place, &current) => {}
        () = accept(listener, Arc::new(Api::new(client.clone())), current.clone()) => {}
    }
}

/// Keeps what it takes to be called: an authority, a certificate, and what the API server shows itself with. For ever.
async fn keep(client: &Client, place: &Place, current: &Current) {
    loop {
        let pause = match renew(client, place).await {
            Ok(renewed) => {
                *current.write() = Some(renewed);
                LOOK
            }
            Err(error) => {
                tracing::warn!(%error, "the custom metrics API is not as it should be; trying again");
                TRY_AGAIN
            }
        };
        sleep(pause).await;
    }
}

async fn renew(client: &Client, place: &Place) -> Result<(TlsAcceptor, FrontProxy), Error> {
    let authority = Authority::kept(client, place).await?;
    let front_proxy = FrontProxy::read(client).await?;
    let config = front_proxy.server(authority.issue(&place.service, &place.namespace)?)?;
    authority.announce(client).await?;
    Ok((TlsAcceptor::from(Arc::new(config)), front_proxy))
}

async fn accept(listener: TcpListener, api: Arc<Api>, current: Current) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, _)) => {
                let (api, known) = (api.clone(), current.read().clone());
                tokio::spawn(async move {
                    if let Some((acceptor, front_proxy)) = known
                        && let Err(error) = converse(socket, &acceptor, &front_proxy, api).await
                    {
                        tracing::debug!(error, "a connection to the custom metrics API ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: give the others time to close.
                tracing::warn!(%error, "can't accept a request for custom metrics");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(
    socket: TcpStream,
    acceptor: &TlsAcceptor,
    front_proxy: &FrontProxy,
    api: Arc<Api>,
) -> Result<(), String> {
    let stream = timeout(PATIENCE, acceptor.accept(socket)).await.map_err(|_| "no handshake came about".to_owned())?;
    let stream = stream.map_err(|error| error.to_string())?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    if !shown.is_some_and(|certificate| front_proxy.admits(certificate)) {
        return Err("it is not the API server".into());
    }
    let service = service_fn(move |request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(api.answer(&request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
