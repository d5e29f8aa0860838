//! Traefik, of the version that the test cluster has, with a router for the stream and nothing else.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::json;

use crate::processes::{Process, free_address, repository};

pub struct Traefik {
    pub address: SocketAddr,
    _process: Process,
}

impl Traefik {
    pub async fn before(node: SocketAddr) -> Self {
        let address = free_address();
        let listens = [address];
        let process = Process::start("Traefik", &listens, |folder| {
            let router = json!({"rule": "Path(`/events`)", "service": "node"});
            let service = json!({"loadBalancer": {"servers": [{"url": format!("http://{node}")}]}});
            let http = json!({"http": {"routers": {"events": router}, "services": {"node": service}}});
            // JSON is YAML.
            let file = folder.join("routes.yaml");
            fs::write(&file, http.to_string()).unwrap();
            let mut command = Command::new(program());
            command.args(["--global.checkNewVersion=false", "--global.sendAnonymousUsage=false", "--log.level=WARN"]);
            command.arg(format!("--entryPoints.web.address={address}"));
            // As in tests/cluster/addons/traefik.yaml: a stream has no end.
            for timeout in ["readTimeout", "writeTimeout"] {
                command.arg(format!("--entryPoints.web.transport.respondingTimeouts.{timeout}=0"));
            }
            command.arg(format!("--providers.file.filename={}", file.display()));
            command
        });
        let traefik = Self { address, _process: process.await };
        traefik.knows_the_route().await;
        traefik
    }

    /// It listens before it has read the file.
    async fn knows_the_route(&self) {
        let asking = async {
            while !matches!(
                crate::http::ask(self.address, hyper::Method::HEAD, "/events", &[], String::new()).await,
                Ok((200, _))
            ) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(crate::PATIENCE, asking).await.expect("Traefik knows its route");
    }

    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }
}

/// The program, built on first use, which takes some minutes.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut script = Command::new(repository().join("tests/cluster/cluster"));
        let output = script.arg("traefik").stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "tests/cluster/cluster traefik has failed");
        String::from_utf8(output.stdout).unwrap().trim_end().into()
    })
}
