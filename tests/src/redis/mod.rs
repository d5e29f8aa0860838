//! A real Redis server for a test: on loopback, in a folder of its own, append-only as the operator sets it up.
//! It can be killed and started again, and ends with the test.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::must::Must;

const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis server.
pub struct Server {
    dir: PathBuf,
    port: u16,
    tls: bool,
    /// Further settings, which win over those of every test.
    settings: Vec<String>,
    process: Option<Child>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(false, &[]).await
    }

    /// With settings such as `["--appendfsync", "always"]`.
    pub async fn start_as(settings: &[&str]) -> Self {
        Self::start_with(false, settings).await
    }

    /// With TLS, by a certificate whose authority is [`Server::authority`].
    pub async fn start_tls() -> Self {
        Self::start_with(true, &[]).await
    }

    async fn start_with(tls: bool, settings: &[&str]) -> Self {
        // Free now; nobody else on this machine is likely to take it before Redis does.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).must("find a free port");
        let port = listener.local_addr().must("know the port").port();
        drop(listener);
        let dir = std::env::temp_dir().join(format!("ssefleet-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).must("make a folder for Redis");
        if tls {
            make_certificates(&dir).await;
        }
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut server = Self { dir, port, tls, settings, process: None };
        server.restart().await;
        server
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://localhost:{}/0", self.port)
    }

    /// The certificate authority, PEM.
    pub fn authority(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// Ends it as a crash does.
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.must("kill Redis");
        }
    }

    /// Starts it, with what it had written to its disk; returns when it answers.
    pub async fn restart(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.current_dir(&self.dir).args(["--bind", "127.0.0.1", "--appendonly", "yes", "--save", ""]);
        if self.tls {
            command.args(["--port", "0", "--tls-port", &port, "--tls-cert-file", "server.crt"]);
            command.args(["--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.crt", "--tls-auth-clients", "no"]);
        } else {
            command.args(["--port", &port]);
        }
        command.args(&self.settings);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn();
        self.process = Some(process.must("start redis-server; `apt-get install redis-server` brings it"));
        let answers = async {
            while self.run(&["PING"], None).await.as_deref() != Some("PONG") {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, answers).await.must("wait for Redis to answer");
    }

    /// What `redis-cli` prints for a command.
    pub async fn command(&self, command: &[&str]) -> String {
        self.run(command, None).await.must(format_args!("run {command:?}"))
    }

    pub async fn command_with_password(&self, password: &str, command: &[&str]) -> String {
        self.run(command, Some(password)).await.must(format_args!("run {command:?}"))
    }

    async fn run(&self, command: &[&str], password: Option<&str>) -> Option<String> {
        let mut cli = Command::new("redis-cli");
        cli.args(["-e", "-p", &self.port.to_string()]);
        if self.tls {
            cli.arg("--tls").arg("--cacert").arg(self.authority());
        }
        if let Some(password) = password {
            cli.env("REDISCLI_AUTH", password);
        }
        let output = cli.args(command).output().await.must("run redis-cli");
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        output.status.success().then_some(text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only what a test made for itself; `kill_on_drop` ends the process.
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

async fn make_certificates(dir: &Path) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-authority \
            -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.crt
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > server.ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt";
    let output = Command::new("sh").args(["-ec", script]).current_dir(dir).output().await.must("run openssl");
    assert!(output.status.success(), "openssl failed: {}", String::from_utf8_lossy(&output.stderr));
}
