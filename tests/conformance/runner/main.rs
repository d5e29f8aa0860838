//! `conformance` asks a server of event streams what a client will meet there, and prints a table.
//!
//! It knows nothing of who serves: [`target`] connects to any URL, [`publisher`] sends the events (in the way of the
//! server at hand, or not at all), [`subscription`] reads as WHATWG HTML 9.2 says, and [`checks`] are the questions.

mod checks;
mod publisher;
mod report;
mod subscription;
mod target;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;

use crate::{
    checks::Probe,
    publisher::{Format, Publisher},
    target::Target,
};

/// Asks a server of event streams what a client will meet there.
#[derive(Parser)]
#[command(
    name = "conformance",
    after_help = "Examples:
  conformance --url http://127.0.0.1:8080/events --publish http://127.0.0.1:8081/publish
  conformance --url https://stream.example.com/events --token \"$TOKEN\" --origin https://app.example.com
  conformance --url 'http://127.0.0.1:80/sub?topic=a' --publish 'http://127.0.0.1:80/pub?topic=a' --publish-format body

Exit codes: 0 nothing failed, 1 a check failed, 2 wrong usage, 3 there is no event stream to ask."
)]
struct Arguments {
    /// The stream, http:// or https://. Its own events do not disturb.
    #[arg(long, value_name = "URL")]
    url: String,
    /// Where events are published. Without it, what needs an event of ours is not tested.
    #[arg(long, value_name = "URL")]
    publish: Option<String>,
    /// How an event is published.
    #[arg(long, value_enum, default_value_t = Format::Json, value_name = "FORMAT")]
    publish_format: Format,
    /// The topic of what is published, where the format has one.
    #[arg(long, default_value = "conformance", value_name = "TOPIC")]
    topic: String,
    /// Sent to the stream as `Authorization: Bearer`.
    #[arg(long, env = "CONFORMANCE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Sent to the publisher's side as `Authorization: Bearer`.
    #[arg(long, env = "CONFORMANCE_PUBLISH_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    publish_token: Option<String>,
    /// A web page's origin that may read the stream, for the checks of CORS.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The parameter of the URL that takes a last event id.
    #[arg(long, default_value = "lastEventId", value_name = "NAME")]
    id_parameter: String,
    /// How many seconds of silence there may be before a heartbeat.
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    heartbeat: u64,
    /// A certificate authority, PEM, instead of this machine's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Write the results here, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let probe = match probe(&arguments) {
        Ok(probe) => probe,
        Err(why) => {
            eprintln!("conformance: {why}");
            return ExitCode::from(2);
        }
    };
    let results = match checks::run(&probe).await {
        Ok(results) => results,
        Err(why) => {
            eprintln!("conformance: {} is no event stream: {why}", arguments.url);
            return ExitCode::from(3);
        }
    };
    print!("{}", report::markdown(&results));
    if let Some(file) = arguments.json
        && let Err(error) = std::fs::write(&file, report::json(&results))
    {
        eprintln!("conformance: can't write {}: {error}", file.display());
        return ExitCode::from(2);
    }
    if report::failed(&results) > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

fn probe(arguments: &Arguments) -> Result<Probe, String> {
    let target = Target::new(&arguments.url, arguments.token.as_deref(), arguments.ca.as_deref())
        .map_err(|why| format!("--url {}: {why}", arguments.url))?;
    let publisher = match &arguments.publish {
        None => None,
        Some(url) => {
            let target = Target::new(url, arguments.publish_token.as_deref(), arguments.ca.as_deref())
                .map_err(|why| format!("--publish {url}: {why}"))?;
            Some(Publisher { target, format: arguments.publish_format, topic: arguments.topic.clone() })
        }
    };
    let heartbeat = Duration::from_secs(arguments.heartbeat);
    Ok(Probe {
        target,
        publisher,
        origin: arguments.origin.clone(),
        id_parameter: arguments.id_parameter.clone(),
        heartbeat,
        run: publisher::run_name(),
    })
}
