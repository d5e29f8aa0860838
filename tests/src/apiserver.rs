//! A real API server without nodes, for tests of what the operator says to it: `tests/cluster/cluster apiserver`, started
//! once in a process and ended with it. It holds the CRD and the chart's rights; no controller but the operator runs.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{helm::repository, must::Must};

/// Held until this process ends; then its standard input ends, and the script behind it cleans up.
static STARTED: OnceLock<(PathBuf, Child)> = OnceLock::new();

/// Where the API server's files are. Several tests share it, each with namespaces of its own.
#[derive(Clone, Debug)]
pub struct ApiServer {
    folder: PathBuf,
}

impl ApiServer {
    /// The one of this process. The first call starts it, and takes some seconds.
    pub async fn shared() -> Self {
        let started = tokio::task::spawn_blocking(|| STARTED.get_or_init(start).0.clone()).await;
        Self { folder: started.must("start an API server") }
    }

    /// Its administrator. A client belongs to the runtime that it was made in.
    pub async fn admin(&self) -> Client {
        Client::try_from(self.config("admin").await).must("make a client")
    }

    /// How `admin`, or `operator` with the rights that the chart gives it, reaches the server.
    pub async fn config(&self, who: &str) -> Config {
        let path = self.kubeconfig(who);
        let kubeconfig = Kubeconfig::read_from(&path).must(format_args!("read {}", path.display()));
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        config.must(format_args!("use {}", path.display()))
    }

    pub fn kubeconfig(&self, who: &str) -> PathBuf {
        self.folder.join(format!("{who}.kubeconfig"))
    }

    /// A file of its keys and certificates: `ca.crt`, `webhook.crt`, `webhook.key`.
    pub fn pki(&self, file: &str) -> PathBuf {
        self.folder.join("pki").join(file)
    }
}

fn start() -> (PathBuf, Child) {
    let mut script = Command::new(repository().join("tests/cluster/cluster"));
    script.arg("apiserver").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().must("run tests/cluster/cluster apiserver");
    let stdout = child.stdout.take().must("read from the script");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).must("read where the API server is");
    assert!(!line.is_empty(), "tests/cluster/cluster apiserver failed; what it said is above");
    (PathBuf::from(line.trim_end()), child)
}
