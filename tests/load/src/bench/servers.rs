//! What is measured: sse-node, and the servers it is compared with, each on ports of its own.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    Place,
    process::{End, Process},
    redis::info,
};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Raw,
    Node,
    Naive,
    Nchan,
}

/// Round after round in this order.
pub const ALL: [Kind; 4] = [Kind::Raw, Kind::Node, Kind::Naive, Kind::Nchan];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Node => "sse-node",
            Self::Naive => "naive",
            Self::Nchan => "Nchan",
        }
    }
}

/// A server that listens.
pub struct Server {
    pub process: Process,
    pub kind: Kind,
    pub events: String,
    pub publish: String,
}

const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

impl Server {
    pub async fn start(place: &Place, kind: Kind) -> io::Result<Self> {
        let port = free_ports()?[0];
        let address = format!("127.0.0.1:{port}");
        let mut command = match kind {
            Kind::Node => return Self::node(place, None).await,
            Kind::Raw | Kind::Naive => {
                let mut command = Command::new(place.tools.join(kind.name()));
                command.arg(&address);
                command
            }
            Kind::Nchan => nchan(place.folder.path(), port)?,
        };
        let end = if kind == Kind::Nchan { End::Terminate } else { End::Kill };
        let log = place.folder.path().join(format!("{}.log", kind.name()));
        let mut process = Process::start(quiet(&mut command, &log)?, end)?;
        listening(&mut process, port, &log).await?;
        let (events, publish) = (format!("http://{address}/events"), format!("http://{address}/publish"));
        Ok(Self { process, kind, events, publish })
    }

    /// A node of its own, or one of those that share a Redis.
    pub async fn node(place: &Place, redis: Option<&Redis>) -> io::Result<Self> {
        Self::node_with(place, redis, "").await
    }

    /// The same, with more lines in its manifest's `spec`.
    pub async fn node_with(place: &Place, redis: Option<&Redis>, more: &str) -> io::Result<Self> {
        let [public, publish, admin] = free_ports()?;
        let manifest = place.folder.path().join(format!("stream-{public}.yaml"));
        let unless_given = |lines: &'static str| {
            let field = lines.split_inclusive(':').next().unwrap_or(lines);
            if more.contains(field) { "" } else { lines }
        };
        fs::write(&manifest, format!("{MANIFEST}{}{}{more}", unless_given(BROKER), unless_given(HISTORY)))?;
        let mut command = Command::new(&place.node);
        command.arg("serve").arg(&manifest).env("RUST_LOG", "warn");
        command.arg("--secrets-dir").arg(place.folder.path());
        for (listener, port) in [("--public", public), ("--publish", publish), ("--admin", admin)] {
            command.args([listener, &format!("127.0.0.1:{port}")]);
        }
        if let Some(redis) = redis {
            command.args(["--redis", &format!("redis://{}", redis.address)]);
        }
        let log = place.folder.path().join(format!("node-{public}.log"));
        let mut process = Process::start(quiet(&mut command, &log)?, End::Kill)?;
        for port in [public, publish, admin] {
            listening(&mut process, port, &log).await?;
        }
        ready(admin).await?;
        let events = format!("http://127.0.0.1:{public}/events");
        Ok(Self { process, kind: Kind::Node, events, publish: format!("http://127.0.0.1:{publish}/publish") })
    }
}

const MANIFEST: &str = "apiVersion: ssefleet.dev/v1alpha1
kind: SseStream
metadata: {name: load}
spec:
  path: /events
  fleet: {replicas: 1}
  connections: {maxPerPod: 100000, maxLag: 10m}
";

const BROKER: &str = "  broker: {memory: {}}\n";

/// More than any scenario publishes, unless it says otherwise.
const HISTORY: &str = "  history: {maxEvents: 100000}\n";

/// A redis-server with its data in a folder.
pub struct Redis {
    process: Process,
    port: u16,
    folder: std::path::PathBuf,
    durable: bool,
    pub address: SocketAddr,
}

impl Redis {
    /// `durable` is one that has written what it has acknowledged.
    pub async fn start(place: &Place, durable: bool) -> io::Result<Self> {
        let port = free_ports()?[0];
        let folder = place.folder.path().join(format!("redis-{port}"));
        fs::create_dir(&folder)?;
        let process = Self::run(port, &folder, durable).await?;
        Ok(Self { process, port, folder, durable, address: ([127, 0, 0, 1], port).into() })
    }

    async fn run(port: u16, folder: &Path, durable: bool) -> io::Result<Process> {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]).arg("--dir").arg(folder);
        command.args(["--appendonly", if durable { "yes" } else { "no" }, "--appendfsync", "always"]);
        let log = folder.join("log");
        let mut process = Process::start(quiet(&mut command, &log)?, End::Kill)?;
        listening(&mut process, port, &log).await?;
        Ok(process)
    }

    /// Makes it a replica of another.
    pub async fn follow(&self, primary: &Self) -> io::Result<()> {
        let mut socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        writeln!(socket, "REPLICAOF 127.0.0.1 {}\r", primary.port)?;
        for _ in 0..200 {
            if info(primary.address, "replication")?.contains("state=online") {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(io::Error::other("the replica never comes into step"))
    }

    /// As kill -9 does.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    pub async fn restart(&mut self) -> io::Result<()> {
        self.process = Self::run(self.port, &self.folder, self.durable).await?;
        Ok(())
    }
}

/// nginx with Nchan, with as much history as sse-node has.
fn nchan(folder: &Path, port: u16) -> io::Result<Command> {
    if !Path::new(NCHAN).exists() {
        return Err(io::Error::other("no Nchan here; tests/prerequisites nginx nchan"));
    }
    let config = folder.join("nginx.conf");
    let folder = folder.display();
    fs::write(
        &config,
        format!(
            "load_module {NCHAN};
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log error;
worker_processes 2;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  nchan_shared_memory_size 512M;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /events {{
      nchan_subscriber eventsource;
      nchan_channel_id \"stream$arg_topic\";
      nchan_subscriber_first_message newest;
    }}
    location = /publish {{
      nchan_publisher;
      nchan_channel_id \"stream$arg_topic\";
      nchan_message_buffer_length 100000;
      nchan_message_timeout 1h;
    }}
  }}
}}
"
        ),
    )?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(config);
    Ok(command)
}

/// Three ports that were free a moment ago.
fn free_ports() -> io::Result<[u16; 3]> {
    let bind = || TcpListener::bind("127.0.0.1:0");
    let listeners = [bind()?, bind()?, bind()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// What a server says goes to a file.
fn quiet<'a>(command: &'a mut Command, log: &Path) -> io::Result<&'a mut Command> {
    let out = File::create(log)?;
    let errors = out.try_clone()?;
    Ok(command.stdin(Stdio::null()).stdout(out).stderr(errors))
}

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_mins(1);

async fn listening(process: &mut Process, port: u16, log: &Path) -> io::Result<()> {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = process.ended();
        if ended.is_some() || begun.elapsed() > PATIENCE {
            let log = fs::read_to_string(log).unwrap_or_default();
            let how = ended.unwrap_or_else(|| format!("does not listen after {PATIENCE:?}"));
            return Err(io::Error::other(format!("a server on port {port}: {how}\n{log}")));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Waits until a node has its log.
async fn ready(admin: u16) -> io::Result<()> {
    use std::io::{Read, Write};
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let mut socket = TcpStream::connect(("127.0.0.1", admin))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        if socket.read_exact(&mut status).is_ok() && status.ends_with(b" 200") {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(io::Error::other(format!("a node is not ready after {PATIENCE:?}")))
}
