//! The command line of `sse-node`.

use std::{
    io::IsTerminal,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use sse_node::{Listeners, Setup, Stop, changes::Changes, config, health, http::tls::Tls};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing::{error, info};

/// Serves a server-sent-events stream.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 stopped as asked (or healthy), 1 failed, 2 wrong arguments or manifest."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the SseStream of a manifest, the same that `kubectl apply` takes.
    #[command(after_help = "Examples:
  sse-node serve examples/quickstart.yaml
  curl -N http://127.0.0.1:8080/events
  curl --json '{\"data\":\"hello\"}' http://127.0.0.1:8081/publish")]
    Serve(Box<Serve>),
    /// Answers every request with a stream that says when to come back: for a proxy that has no node to ask, as its
    /// own 502, 503 or 504 would end a browser's EventSource for good.
    #[command(after_help = "Example:\n  sse-node retry examples/quickstart.yaml --listen 127.0.0.1:8080")]
    Retry {
        /// The manifest of the nodes, for connections.retry and cors; followed when it changes.
        file: PathBuf,
        /// Where the proxy connects.
        #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
        listen: SocketAddr,
    },
    /// Asks the node on this machine whether it lives; for a container's HEALTHCHECK.
    Health {
        /// The public address of the node.
        #[arg(long, env = "SSEFLEET_PUBLIC", default_value = "127.0.0.1:8080")]
        public: SocketAddr,
    },
}

#[derive(clap::Args)]
struct Serve {
    /// The manifest.
    file: PathBuf,
    /// Keep events in this Redis, whatever the manifest says: redis://HOST:PORT/DB.
    #[arg(long, env = "SSEFLEET_REDIS", value_name = "URL")]
    redis: Option<String>,
    /// Where subscribers connect.
    #[arg(long, env = "SSEFLEET_PUBLIC", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    public: SocketAddr,
    /// Where publishers connect. Without spec.auth.publish, whoever reaches this address may publish.
    #[arg(long, env = "SSEFLEET_PUBLISH", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    publish: SocketAddr,
    /// Probes, metrics and figures.
    #[arg(long, env = "SSEFLEET_ADMIN", default_value = "127.0.0.1:9090", value_name = "ADDRESS")]
    admin: SocketAddr,
    /// The certificate chain of the public listener, PEM: it then speaks TLS, with HTTP/2 by ALPN. Read anew
    /// when it changes.
    #[arg(long, env = "SSEFLEET_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of that certificate, PEM.
    #[arg(long, env = "SSEFLEET_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Where Secrets lie as files, NAME/KEY.
    #[arg(long, env = "SSEFLEET_SECRETS_DIR", default_value = "secrets", value_name = "DIR")]
    secrets_dir: PathBuf,
    /// What this node is called, sent to subscribers as X-Sse-Node; the pod's name in a cluster.
    #[arg(long, env = "SSEFLEET_NODE", value_name = "NAME")]
    node: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log();
    match arguments.command {
        Command::Health { mut public } => {
            if public.ip().is_unspecified() {
                public.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            match health::check(public, Duration::from_secs(3)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("sse-node: {public} is not healthy: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        Command::Retry { file, listen } => ended(retry(&file, listen)),
        Command::Serve(serve) => ended(run(*serve)),
    }
}

fn ended(result: Result<(), Failed>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Arguments(why)) => {
            error!("{why}");
            ExitCode::from(2)
        }
        Err(Failed::Running(why)) => {
            error!("{why}");
            ExitCode::FAILURE
        }
    }
}

enum Failed {
    Arguments(String),
    Running(String),
}

#[tokio::main]
async fn run(serve: Serve) -> Result<(), Failed> {
    let wrong = |error: config::ConfigError| Failed::Arguments(error.to_string());
    let changes = Changes::since_now(serve.file.clone());
    let stream = config::read(&serve.file).map_err(wrong)?;
    // The provider of TLS for connections to Redis.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let broker = config::broker(&stream, serve.redis.as_deref(), &serve.secrets_dir).map_err(wrong)?;
    let tls = serve.tls_certificate.zip(serve.tls_key).map(|(certificate, key)| Tls::load(certificate, key));
    let tls = tls.transpose().map_err(|error| Failed::Arguments(format!("--tls-certificate: {error}")))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let listeners = Listeners {
        public: bind("public", serve.public).await?,
        tls,
        publish: bind("publish", serve.publish).await?,
        admin: bind("admin", serve.admin).await?,
    };
    let shutdown = |error: std::io::Error| Failed::Running(format!("can't listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(shutdown)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => Stop::Terminated,
            _ = tokio::signal::ctrl_c() => Stop::Interrupted,
        }
    };
    info!(
        subscribe = format!("{scheme}://{}{}", serve.public, stream.path),
        publish = format!("http://{}/publish", serve.publish),
        admin = format!("http://{}/stats", serve.admin),
        "serving {}/{}; {}; {}",
        stream.namespace,
        stream.name,
        if stream.auth.jwt.is_some() { "subscribers need a token" } else { "anyone may subscribe" },
        if stream.auth.publish.is_some() {
            "publishers need a token"
        } else {
            "anyone who reaches the publish address may publish (spec.auth.publish is not set)"
        },
    );
    let setup = Setup { stream, changes: Some(changes), secrets: serve.secrets_dir, broker, name: serve.node };
    sse_node::serve(setup, listeners, stop).await.map_err(|error| Failed::Running(error.to_string()))
}

#[tokio::main(flavor = "current_thread")]
async fn retry(file: &Path, listen: SocketAddr) -> Result<(), Failed> {
    let changes = Changes::since_now(file.to_owned());
    let stream = config::read(file).map_err(|error| Failed::Arguments(error.to_string()))?;
    let listener = bind("listen", listen).await?;
    let failed = |error: std::io::Error| Failed::Running(format!("can't listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    info!(listen = %listen, "telling everyone to come back to {}/{}", stream.namespace, stream.name);
    sse_node::retry::serve(changes, stream, listener, stop).await.map_err(|error| Failed::Running(error.to_string()))
}

async fn bind(listener: &str, address: SocketAddr) -> Result<TcpListener, Failed> {
    let failed = |error| Failed::Running(format!("can't listen on --{listener} {address}: {error}"));
    TcpListener::bind(address).await.map_err(failed)
}

/// Text for a person at a terminal, JSON for a machine; `RUST_LOG` says how much.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        subscriber.with_target(false).init();
    } else {
        subscriber.json().flatten_event(true).init();
    }
}
