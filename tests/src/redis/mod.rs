//! A real Redis server for a test: on loopback, in a folder of its own, append-only as the operator sets it up.
//! It can be killed and started again, and ends with the test. Several make a [`sentinel::Group`] or a
//! [`cluster::Cluster`].

pub mod cluster;
pub mod sentinel;

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
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
    /// What `redis-cli` shows.
    password: Option<String>,
    /// Further settings, which win over those of every test.
    settings: Vec<String>,
    /// Its configuration is a file that it writes itself.
    is_sentinel: bool,
    process: Option<Child>,
}

/// How a server is set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// 0 for any that is free.
    pub port: u16,
    /// A folder with `ca.crt`, `server.crt` and `server.key`: then it speaks TLS only.
    pub certificates: Option<PathBuf>,
    /// Of its default user.
    pub password: Option<String>,
    pub settings: Vec<String>,
    /// It is a Sentinel, with this configuration.
    pub sentinel: Option<String>,
}

impl Server {
    pub async fn start() -> Self {
        Self::launch(Setup::default()).await
    }

    /// With settings such as `["--appendfsync", "always"]`.
    pub async fn start_as(settings: &[&str]) -> Self {
        Self::launch(Setup { settings: strings(settings), ..Setup::default() }).await
    }

    /// With TLS, by a certificate whose authority is [`Server::authority`].
    pub async fn start_tls() -> Self {
        let certificates = Certificates::make().await;
        Self::launch(Setup { certificates: Some(certificates.dir.clone()), ..Setup::default() }).await
    }

    pub async fn launch(setup: Setup) -> Self {
        let mut server = Self::prepare(setup);
        server.restart().await;
        server
    }

    fn prepare(setup: Setup) -> Self {
        let port = if setup.port == 0 { free_port() } else { setup.port };
        let dir = std::env::temp_dir().join(format!("ssefleet-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).must("make a folder for Redis");
        let tls = setup.certificates.is_some();
        if let Some(from) = &setup.certificates {
            for file in ["ca.crt", "server.crt", "server.key"] {
                std::fs::copy(from.join(file), dir.join(file)).must("copy a certificate");
            }
        }
        let mut settings = setup.settings;
        if let Some(password) = &setup.password {
            settings.extend(strings(&["--requirepass", password, "--masterauth", password]));
        }
        if let Some(config) = &setup.sentinel {
            std::fs::write(dir.join("sentinel.conf"), config).must("write a Sentinel's configuration");
        }
        let (password, is_sentinel) = (setup.password, setup.sentinel.is_some());
        Self { dir, port, tls, password, settings, is_sentinel, process: None }
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://localhost:{}/0", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
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

    /// Stops it where it is, as a machine that hangs; or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let id = self.process.as_ref().and_then(Child::id).must("know the process");
        let pid = Pid::from_raw(id.cast_signed()).must("know the process");
        kill_process(pid, if frozen { Signal::STOP } else { Signal::CONT }).must("stop Redis or let it go on");
    }

    /// Starts it, with what it had written to its disk; returns when it answers.
    pub async fn restart(&mut self) {
        self.begin();
        let answers = async {
            while self.run(&["PING"], self.password.as_deref()).await.as_deref() != Some("PONG") {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, answers).await.must("wait for Redis to answer");
    }

    fn begin(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.current_dir(&self.dir);
        if self.is_sentinel {
            command.args(["sentinel.conf", "--sentinel"]);
        } else {
            command.args(["--bind", "127.0.0.1", "--appendonly", "yes", "--save", ""]);
            if self.tls {
                command.args(["--port", "0", "--tls-port", &port]).args(TLS.iter().flatten());
            } else {
                command.args(["--port", &port]);
            }
        }
        command.args(&self.settings);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn();
        self.process = Some(process.must("start redis-server; `apt-get install redis-server` brings it"));
    }

    /// What `redis-cli` prints for a command.
    pub async fn command(&self, command: &[&str]) -> String {
        self.run(command, self.password.as_deref()).await.must(format_args!("run {command:?}"))
    }

    /// The same; none if it is refused or nobody answers.
    pub async fn try_command(&self, command: &[&str]) -> Option<String> {
        self.run(command, self.password.as_deref()).await
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
        let output = cli.args(command).kill_on_drop(true).output().await.must("run redis-cli");
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

/// TLS as Redis and Sentinel are told of it.
const TLS: [[&str; 2]; 6] = [
    ["--tls-cert-file", "server.crt"],
    ["--tls-key-file", "server.key"],
    ["--tls-ca-cert-file", "ca.crt"],
    ["--tls-auth-clients", "no"],
    ["--tls-replication", "yes"],
    ["--tls-cluster", "yes"],
];

/// Free now, and below those that the kernel gives to who connects: a client that tries again and again while Redis is away
/// would get one of those sooner or later, and be connected with itself (RFC 9293, 3.5: simultaneous open).
fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(10_000..22_000); // and that of a cluster's bus, 10,000 above
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// Asks again and again, as long as a test waits, until something holds.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let asking = async {
        while !holds().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE * 2, asking).await.must(format_args!("wait until {what}"));
}

/// A certificate for localhost and 127.0.0.1, and its authority.
pub struct Certificates {
    pub dir: PathBuf,
}

impl Certificates {
    pub async fn make() -> Self {
        let dir = std::env::temp_dir().join(format!("ssefleet-certs-{}-{}", std::process::id(), free_port()));
        std::fs::create_dir_all(&dir).must("make a folder for certificates");
        make_certificates(&dir).await;
        Self { dir }
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
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
