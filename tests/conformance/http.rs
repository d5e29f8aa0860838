//! A request to a listener of a node, for what a test does beside its clients.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The status and the body; an error while nobody listens.
pub async fn ask(
    address: SocketAddr,
    method: Method,
    path: &str,
    fields: &[(&str, &str)],
    body: String,
) -> Result<(u16, String), Box<dyn std::error::Error>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(TcpStream::connect(address).await?)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let status = response.status().as_u16();
    Ok((status, String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()).into_owned()))
}
