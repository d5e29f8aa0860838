//! `sse-operator run | crd | render`: the command line. Exit code 0: done; 1: it failed; 2: the arguments or the
//! manifest are wrong.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use futures_util::future::OptionFuture;
use kube::Config;
use sse_operator::{Clients, Identity, Settings, custom_metrics, optional::Kind, render};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Turns `SseStream` resources into fleets of sse-node pods, and keeps them so.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  sse-operator run                             in a pod: rights, namespace and name come from it
  sse-operator run --no-lease                  on a laptop, against the cluster of your kubeconfig
  sse-operator crd | kubectl apply -f -        install the API
  sse-operator render stream.yaml              what would be made of a stream, without a cluster

Exit codes: 0 done, 1 failed, 2 wrong arguments or a refused manifest."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look after streams until told to stop.
    Run(Run),
    /// Print the CRD.
    Crd,
    /// Print what would be made of the stream in FILE, as YAML, without a cluster.
    #[command(after_help = "Example:\n  sse-operator render stream.yaml | kubectl diff -f -")]
    Render {
        /// The manifest; - reads standard input.
        file: PathBuf,
        /// For a cluster that does not have these kinds. Default: it has them all.
        #[arg(long, value_delimiter = ',', value_name = "KIND")]
        without: Vec<Kind>,
        #[command(flatten)]
        settings: Settings,
    },
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    settings: Settings,

    /// Where /healthz, /readyz and /metrics are answered.
    #[arg(long, env = "SSEFLEET_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,

    /// Act without the Lease that keeps two operators apart: for a laptop.
    #[arg(long)]
    no_lease: bool,

    /// This replica's name, as the Lease shows it. Default: a random one.
    #[arg(long, env = "POD_NAME")]
    pod_name: Option<String>,

    /// Serve the API custom.metrics.k8s.io here, for HorizontalPodAutoscalers. It takes APIServices that lead here.
    #[arg(long, env = "SSEFLEET_CUSTOM_METRICS", value_name = "ADDRESS", requires = "custom_metrics_service")]
    custom_metrics: Option<SocketAddr>,

    /// The Service that leads to --custom-metrics, in the operator's namespace; a Secret of that name is made there.
    #[arg(long, env = "SSEFLEET_CUSTOM_METRICS_SERVICE", value_name = "NAME")]
    custom_metrics_service: Option<String>,

    /// How logs are written; `RUST_LOG` says which.
    #[arg(long, env = "SSEFLEET_LOG_FORMAT", value_enum, default_value = "json")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Json,
    Text,
}

/// What is told to the user, and the exit code that goes with it.
type Failure = (ExitCode, String);

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(run) => operate(run),
        Command::Crd => render::crd().map_err(failed).and_then(|text| print(&text)),
        Command::Render { file, without, settings } => read(&file)
            .and_then(|text| render::children(&text, &settings, &without).map_err(refused))
            .and_then(|text| print(&text)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            eprintln!("sse-operator: {message}");
            code
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: impl ToString) -> Failure {
    (ExitCode::FAILURE, error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(error: impl ToString) -> Failure {
    (ExitCode::from(2), error.to_string())
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|error| refused(format!("can't read {}: {error}", file.display())))
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(failed)
}

fn operate(run: Run) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match run.log_format {
        LogFormat::Json => logs.json().flatten_event(true).init(),
        LogFormat::Text => logs.init(),
    }
    // It waits for the API server, mostly. Each thread more has a heap of its own, and a host may have a hundred cores.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let config = Config::infer().await.map_err(failed)?;
        let clients = Clients::new(&config).map_err(failed)?;
        let listener = TcpListener::bind(run.listen)
            .await
            .map_err(|error| failed(format!("can't listen on {}: {error}", run.listen)))?;
        let client = clients.ask.clone();
        let namespace = run.settings.pod_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let metrics = match run.custom_metrics.zip(run.custom_metrics_service) {
            None => None,
            Some((listen, service)) => {
                let listener = TcpListener::bind(listen)
                    .await
                    .map_err(|error| failed(format!("can't listen on --custom-metrics {listen}: {error}")))?;
                let place = custom_metrics::Place { service, namespace: namespace.clone() };
                Some(custom_metrics::serve(client.clone(), place, listener))
            }
        };
        let lease = (!run.no_lease).then(|| Identity {
            namespace,
            holder: run.pod_name.unwrap_or_else(|| format!("sse-operator-{:08x}", fastrand::u32(..))),
        });
        let shutdown = shutdown_on_signals().map_err(failed)?;
        tokio::select! {
            ended = Box::pin(sse_operator::run(clients, run.settings, lease, listener, shutdown)) => ended.map_err(failed),
            () = async { OptionFuture::from(metrics).await; std::future::pending().await } => Ok(()),
        }
    })
}

fn shutdown_on_signals() -> Result<CancellationToken, std::io::Error> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(shutdown)
}
