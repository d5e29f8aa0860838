//! A gzip stream through nginx, which holds such answers back unless it is told not to: by its configuration, or by the
//! answer's own `X-Accel-Buffering`.

use std::{path::Path, process::Stdio, sync::Arc};

use hyper::Version;
use serde_json::json;
use sse_node::broker::{Retention, memory::Memory};
use ssefleet_tests::nginx;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use crate::{
    coded::Client,
    support::{Node, eventually, stream},
};

/// Starts nginx in front of a node, in the foreground, so that it ends with the test; and the port.
async fn start(folder: &Path, node: &Node, location: &str) -> (Child, u16) {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let upstream = node.public;
    let server =
        format!("server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{upstream}; {location} }} }}");
    let command = nginx::command(folder, nginx::ALONE, &server);
    let process = Command::from(command).stderr(Stdio::null()).kill_on_drop(true).spawn().expect("nginx is needed");
    eventually("nginx listens", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    (process, port)
}

/// Row S10 of what the node promises; then nginx' defaults but for HTTP/1.1; then its defaults, HTTP/1.0 to the node.
#[tokio::test]
async fn nothing_is_held_back_by_nginx() {
    let spec = json!({
        "fleet": {"replicas": 1}, "broker": {"memory": {}},
        "compression": {"mode": "Transport", "thresholdBytes": 100},
    });
    let node = Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await;
    for location in [
        "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; proxy_cache off;
         proxy_read_timeout 24h; proxy_send_timeout 24h; proxy_set_header Host $host;",
        "proxy_http_version 1.1; proxy_set_header Connection \"\";",
        "",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (_nginx, port) = start(folder.path(), &node, location).await;
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut client = Client::subscribe(socket, Version::HTTP_11, "gzip, deflate, br").await;
        assert_eq!(client.header("content-encoding"), Some("gzip"), "{location}");
        for data in ["small", &"large ".repeat(100), "small again"] {
            node.publish(json!({"data": data})).await;
            assert_eq!(client.next().await.data, data, "{location}");
        }
    }
}
