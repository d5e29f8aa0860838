//! The publishing side, in the way of the server at hand.

use http_body_util::BodyExt;
use hyper::Method;
use serde_json::json;

use crate::target::{Target, Trouble};

/// How an event is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// POST of JSON, {"topic", "event", "data"}: ssefleet.
    Json,
    /// POST of the data as it is, with the event's name in X-EventSource-Event: Nchan.
    Body,
}

pub struct Publisher {
    pub target: Target,
    pub format: Format,
    pub topic: String,
}

/// Why an event was not published.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("publishing: {0}")]
    Trouble(#[from] Trouble),
    #[error("publishing was answered with {0}")]
    Status(String),
}

impl Publisher {
    pub async fn publish(&self, event: Option<&str>, data: &str) -> Result<(), Refused> {
        let response = match self.format {
            Format::Json => {
                let mut body = json!({"topic": self.topic, "data": data});
                if let Some(event) = event {
                    body["event"] = event.into();
                }
                let fields = [("content-type", "application/json")];
                self.target.send(Method::POST, None, &fields, body.to_string()).await?
            }
            Format::Body => {
                let mut fields = vec![("content-type", "text/plain")];
                fields.extend(event.map(|event| ("x-eventsource-event", event)));
                self.target.send(Method::POST, None, &fields, data.to_owned()).await?
            }
        };
        let status = response.status();
        let body = response.into_body().collect().await.map_err(Trouble::Http)?.to_bytes();
        if status.is_success() {
            return Ok(());
        }
        let said: String = String::from_utf8_lossy(&body).chars().take(200).collect();
        Err(Refused::Status(format!("{status}: {}", said.trim())))
    }
}

/// What the data of this run begin with, so that other events of the stream are told apart.
pub fn run_name() -> String {
    std::iter::once('c').chain(std::iter::repeat_with(fastrand::lowercase).take(9)).collect()
}
