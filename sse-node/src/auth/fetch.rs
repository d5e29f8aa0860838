//! One GET of a key set: by HTTP/1.1 on a connection of its own, within limits, and where it was told to go only:
//! redirects are not followed.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{ACCEPT, CACHE_CONTROL, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::trust::{TrustError, trusting};

/// How long all of it may take.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
const MAX_BODY: usize = 256 << 10;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the URL has no host")]
    Url,
    #[error("there is no answer within {} s", PATIENCE.as_secs())]
    Late,
    #[error("no connection comes about: {0}")]
    Connect(io::Error),
    #[error("no TLS comes about: {0}")]
    Tls(io::Error),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("it broke off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the answer is {0}, where only 200 will do (redirects are not followed)")]
    Status(StatusCode),
    #[error("the answer has more than {} KiB", MAX_BODY >> 10)]
    TooLarge,
    #[error("its body broke off")]
    Body,
}

/// A document, and how long it may be kept by its `Cache-Control`.
pub struct Document {
    pub body: Bytes,
    pub max_age: Option<Duration>,
}

/// Gets a document. `authority` is a PEM file; without one, those of the system are trusted.
pub async fn get(url: &Uri, authority: Option<&PathBuf>) -> Result<Document, FetchError> {
    timeout(PATIENCE, get_unhurried(url, authority)).await.map_err(|_| FetchError::Late)?
}

async fn get_unhurried(url: &Uri, authority: Option<&PathBuf>) -> Result<Document, FetchError> {
    let host = url.host().ok_or(FetchError::Url)?;
    // Of an IPv6 address the brackets are the URL's.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let secure = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let socket = TcpStream::connect((bare, port)).await.map_err(FetchError::Connect)?;
    let response = if secure {
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| FetchError::Url)?;
        let connector = TlsConnector::from(Arc::new(trusting(authority.map(PathBuf::as_path))?));
        ask(connector.connect(name, socket).await.map_err(FetchError::Tls)?, url).await?
    } else {
        ask(socket, url).await?
    };
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let cached = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let max_age = cached.and_then(max_age);
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    let body =
        body.map_err(|error| if error.is::<LengthLimitError>() { FetchError::TooLarge } else { FetchError::Body })?;
    Ok(Document { body: body.to_bytes(), max_age })
}

async fn ask<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    socket: S,
    url: &Uri,
) -> Result<Response<Incoming>, FetchError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    // It ends with the answer, or when whoever waits for it gives up.
    tokio::spawn(connection);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path)
        .header(HOST, authority)
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(USER_AGENT, concat!("ssefleet/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchError::Url)?;
    Ok(sender.send_request(request).await?)
}

/// RFC 9111 5.2.2: `no-store` and `no-cache` are no age.
fn max_age(cache_control: &str) -> Option<Duration> {
    let mut directives = cache_control.split(',').map(str::trim);
    directives.find_map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => Some(Duration::ZERO),
            "max-age" => value.trim_matches('"').parse().ok().map(Duration::from_secs),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_read_as_caches_read_it() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (header, age) in [
            ("max-age=600", seconds(600)),
            ("public, Max-Age=\"60\", must-revalidate", seconds(60)),
            ("no-store", seconds(0)),
            ("public", None),
            ("max-age=-1", None),
            ("s-maxage=5", None),
        ] {
            assert_eq!(max_age(header), age, "{header}");
        }
    }
}
