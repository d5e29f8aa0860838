//! The operator as a process of its own, so that it can be killed and weighed.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use ssefleet_tests::{Must, operator::Metrics};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

/// For what takes milliseconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running operator. Dropped, it is killed; after a failed test, its log is shown.
pub struct Operator {
    process: Child,
    listen: SocketAddr,
    files: TempDir,
}

impl Operator {
    /// Starts one that speaks to `server`, a URL or a kubeconfig, and looks after these namespaces.
    pub fn start(server: Server<'_>, namespaces: &[&str]) -> Self {
        let files = tempfile::tempdir().must("make a folder");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).must("find a free port");
        let listen = listener.local_addr().must("know the port");
        drop(listener);
        let kubeconfig = match server {
            Server::Kubeconfig(path) => path.to_owned(),
            Server::Plain(address) => plain(files.path(), address),
        };
        let log = File::create(files.path().join("log")).must("make a log");
        let process = Command::new(program())
            .args(["run", "--no-lease", "--log-format", "text", "--listen", &listen.to_string()])
            .args(["--watch-namespaces", &namespaces.join(",")])
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_LOG", "info")
            .env("MALLOC_ARENA_MAX", "1") // as the chart has it
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        let process = process.must(format_args!("run {}", program().display()));
        Self { process, listen, files }
    }

    pub fn pid(&self) -> i32 {
        self.process.id().and_then(|pid| pid.try_into().ok()).must("find the operator, which has ended")
    }

    pub async fn kill(mut self) {
        self.process.kill().await.must("kill the operator");
    }

    /// Waits until it is gone.
    pub async fn ended(&mut self) {
        self.process.wait().await.must("wait for the operator's end");
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().must("look for the operator").is_none()
    }

    pub async fn metrics(&self) -> Option<Metrics> {
        Metrics::at(self.listen).await
    }

    /// A metric's sum; zero while there is none.
    pub async fn sum(&self, metric: &str) -> f64 {
        self.metrics().await.and_then(|metrics| metrics.sum(metric)).unwrap_or_default()
    }

    /// Waits until a metric's sum is at least that.
    pub async fn until(&self, metric: &str, least: f64, within: Duration) {
        let begun = Instant::now();
        while self.sum(metric).await < least {
            assert!(begun.elapsed() < within, "waited {within:?} in vain until {metric} is {least}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it has brought this many reconciles to their end.
    pub async fn reconciled(&self, count: f64) {
        self.until(r#"ssefleet_operator_reconciles_total{result="ok"}"#, count, PATIENCE).await;
    }

    /// MiB of resident memory.
    pub fn resident(&self) -> f64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).must(format_args!("read {path}"));
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.parse::<f64>().ok()).must(format_args!("read VmRSS in {path}")) / 1024.0
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.files.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the operator's log ends:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// Where the API server is.
#[derive(Clone, Copy)]
pub enum Server<'a> {
    Kubeconfig(&'a Path),
    /// Plain HTTP, as the proxy speaks it.
    Plain(SocketAddr),
}

fn plain(folder: &Path, address: SocketAddr) -> PathBuf {
    let path = folder.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}]\n\
         users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\ncurrent-context: c\n"
    );
    std::fs::write(&path, text).must("write a kubeconfig");
    path
}

/// `SSEFLEET_SSE_OPERATOR`, or what `cargo build -p sse-operator` has left beside the tests.
fn program() -> PathBuf {
    let given = std::env::var_os("SSEFLEET_SSE_OPERATOR").map(PathBuf::from);
    given.unwrap_or_else(|| {
        let here = std::env::current_exe().must("find this program");
        here.ancestors().nth(2).must("find the target folder").join("sse-operator")
    })
}
