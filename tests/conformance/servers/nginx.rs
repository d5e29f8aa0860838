//! nginx with `examples/nginx.conf`, which is the configuration that the project tells its users to take.

use std::{fs, net::SocketAddr};

use ssefleet_tests::nginx;

use crate::processes::{Process, free_address, repository};

pub struct Nginx {
    pub address: SocketAddr,
    _process: Process,
}

impl Nginx {
    /// In front of a node, whose path is /events; besides, it has the pages of `examples/`.
    pub async fn before(node: SocketAddr) -> Self {
        Self::changed(node, |config| config).await
    }

    /// With something else in its configuration.
    pub async fn changed(node: SocketAddr, change: impl FnOnce(String) -> String) -> Self {
        let address = free_address();
        let examples = repository().join("examples");
        let server = fs::read_to_string(examples.join("nginx.conf")).unwrap();
        let listen = format!("listen {address};\n  location / {{ root {}; }}", examples.display());
        let server = change(server.replace("listen 80;", &listen).replace("127.0.0.1:8080", &node.to_string()));
        let types = "types { text/html html; text/javascript js mjs; }";
        let process = start("nginx", address, "", &format!("{types}\n{server}")).await;
        Self { address, _process: process }
    }

    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }
}

/// With its modules, and one worker.
pub async fn start(name: &'static str, listens: SocketAddr, modules: &str, http: &str) -> Process {
    let main = format!("{modules}user root; worker_processes 1;");
    Process::start(name, &[listens], |folder| nginx::command(folder, &main, http)).await
}
