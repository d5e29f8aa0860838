//! A URL, and HTTP/1.1 requests to it: one connection each, as what is asked must not depend on what was asked before.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, Uri, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long a server may take for the head of an answer. Who buffers a stream never sends it.
pub const PATIENCE: Duration = Duration::from_secs(5);

pub type Fields<'a> = &'a [(&'a str, &'a str)];

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("no connection: {0}")]
    Connect(#[from] std::io::Error),
    #[error("no HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("not a request: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("no answer in {} s", PATIENCE.as_secs())]
    Slow,
}

/// Where requests go.
pub struct Target {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    path_and_query: String,
    authorization: Option<String>,
}

pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Target {
    pub fn new(url: &str, token: Option<&str>, ca: Option<&Path>) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
        let host = uri.host().ok_or("it must be like http://HOST/PATH")?.to_owned();
        let (port, tls) = match uri.scheme_str() {
            Some("http") => (80, None),
            Some("https") => {
                let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
                (443, Some((connector(ca)?, name)))
            }
            _ => return Err("it must begin with http:// or https://".into()),
        };
        Ok(Self {
            port: uri.port_u16().unwrap_or(port),
            host,
            tls,
            path_and_query: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            authorization: token.map(|token| format!("Bearer {token}")),
        })
    }

    pub async fn connect(&self) -> Result<Box<dyn Duplex>, Trouble> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let connecting = async {
            let socket = TcpStream::connect((host, self.port)).await?;
            socket.set_nodelay(true)?;
            match &self.tls {
                None => Ok(Box::new(socket) as Box<dyn Duplex>),
                Some((tls, name)) => Ok(Box::new(tls.connect(name.clone(), socket).await?) as Box<dyn Duplex>),
            }
        };
        timeout(PATIENCE, connecting).await.unwrap_or(Err(Trouble::Slow))
    }

    /// What stands in the request line, with a parameter more.
    pub fn path_with(&self, parameter: Option<(&str, &str)>) -> String {
        let Some((name, value)) = parameter else { return self.path_and_query.clone() };
        let joint = if self.path_and_query.contains('?') { '&' } else { '?' };
        let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        format!("{}{joint}{name}={value}", self.path_and_query)
    }

    /// The fields that every request has.
    pub fn fields(&self) -> Vec<(&str, String)> {
        let mut fields = vec![("host", format!("{}:{}", self.host, self.port))];
        fields.extend(self.authorization.clone().map(|value| ("authorization", value)));
        fields
    }

    pub async fn send(
        &self,
        method: Method,
        parameter: Option<(&str, &str)>,
        fields: Fields<'_>,
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>, Trouble> {
        let mut request = Request::builder().method(method).uri(self.path_with(parameter));
        for (name, value) in self.fields() {
            request = request.header(name, value);
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into()))?;
        let socket = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        timeout(PATIENCE, sender.send_request(request)).await.map_or(Err(Trouble::Slow), |answer| Ok(answer?))
    }
}

/// TLS that believes this machine's authorities, or the one it is told.
fn connector(ca: Option<&Path>) -> Result<TlsConnector, String> {
    let certificates = match ca {
        Some(file) => {
            let wrong = |error| format!("--ca {}: {error}", file.display());
            let read = CertificateDer::pem_file_iter(file).map_err(wrong)?;
            read.collect::<Result<Vec<_>, _>>().map_err(wrong)?
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
