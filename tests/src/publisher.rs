//! A publisher: it posts to the publish Service of a stream and keeps what was acknowledged, with the times.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use ssefleet_crds::broker::SecretKey;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{self, MissedTickBehavior, timeout},
};

use crate::{
    cluster::Access,
    dial::{Connection, Target, dial},
    must::Must,
};

/// How often something is done.
#[derive(Clone, Copy, Debug)]
pub struct Rate(Duration);

/// So many times a second.
pub fn per_second(times: u32) -> Rate {
    Rate(Duration::from_secs(1) / times)
}

/// One number that was published, or should have been.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub number: u64,
    pub sent: Instant,
    pub answered: Instant,
    /// The id it was acknowledged with, or what was said instead.
    pub outcome: Result<String, String>,
}

/// All that one publisher did.
#[derive(Debug)]
pub struct Published(pub Vec<Attempt>);

impl Published {
    pub fn acknowledged(&self) -> impl Iterator<Item = &Attempt> {
        self.0.iter().filter(|attempt| attempt.outcome.is_ok())
    }

    pub fn refused(&self) -> impl Iterator<Item = &Attempt> {
        self.0.iter().filter(|attempt| attempt.outcome.is_err())
    }
}

/// What a publisher shows to be let in.
#[derive(Clone, Debug)]
pub enum Shows {
    Nothing,
    Token(String),
    /// What is in this key of a Secret when it first publishes.
    TokenOf(SecretKey),
}

/// Keeps one connection to the publish Service.
pub struct Publisher {
    access: Access,
    target: Target,
    shows: Shows,
    connection: Option<Connection>,
}

/// After this long without an answer, nobody knows whether an event was stored.
const ANSWER: Duration = Duration::from_secs(10);

impl Publisher {
    pub(crate) fn new(access: Access, target: Target, shows: Shows) -> Self {
        Self { access, target, shows, connection: None }
    }

    /// Publishes what `POST /publish` takes, a JSON event or an array of them. Returns their ids.
    pub async fn publish(&mut self, events: &Value) -> Result<Vec<String>, String> {
        timeout(ANSWER, self.post(events)).await.unwrap_or_else(|_| Err(format!("no answer in {ANSWER:?}")))
    }

    async fn post(&mut self, events: &Value) -> Result<Vec<String>, String> {
        let body = Bytes::from(events.to_string());
        let token = self.token().await?;
        let response = loop {
            let mut connection = self.connected().await;
            let mut request =
                Request::post("/publish").header("host", "publish").header("content-type", "application/json");
            if let Some(token) = &token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let request = request.body(Full::new(body.clone())).map_err(|cause| cause.to_string())?;
            match connection.send_request(request).await {
                Ok(response) => {
                    self.connection = Some(connection);
                    break response;
                }
                Err(cause) if cause.is_canceled() => {} // not a byte was sent: the kept connection was closed
                Err(cause) => return Err(cause.to_string()),
            }
        };
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|cause| cause.to_string())?.to_bytes();
        if status != 200 {
            return Err(format!("{status} {}", String::from_utf8_lossy(&body)));
        }
        let answer: Value = serde_json::from_slice(&body).map_err(|cause| cause.to_string())?;
        serde_json::from_value(answer["ids"].clone()).map_err(|cause| format!("{answer}: {cause}"))
    }

    async fn token(&mut self) -> Result<Option<String>, String> {
        if let (Shows::TokenOf(SecretKey { name, key }), Target::Service { namespace, .. }) =
            (&self.shows, &self.target)
        {
            let secret = self.access.api::<Secret>(namespace).get(name).await.map_err(|cause| cause.to_string())?;
            let token =
                secret.data.and_then(|mut data| data.remove(key)).ok_or(format!("Secret {name} has no {key}"))?;
            self.shows = Shows::Token(String::from_utf8_lossy(&token.0).into_owned());
        }
        Ok(match &self.shows {
            Shows::Token(token) => Some(token.clone()),
            _ => None,
        })
    }

    /// The kept connection, or a new one; tries until there is one, as nothing is lost by it.
    async fn connected(&mut self) -> Connection {
        if let Some(mut connection) = self.connection.take()
            && connection.ready().await.is_ok()
        {
            return connection;
        }
        loop {
            match dial(&self.access, &self.target).await {
                Ok(connection) => return connection,
                Err(_) => time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// Numbers being published in the background, each as one event of topic and type `number`.
pub struct Publishing {
    stop: watch::Sender<bool>,
    acknowledged: watch::Receiver<u64>,
    task: JoinHandle<Published>,
}

impl Publishing {
    pub(crate) fn start(mut publisher: Publisher, numbers: RangeInclusive<u64>, rate: Rate) -> Self {
        let (stop, ending) = watch::channel(false);
        let (count, acknowledged) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut attempts = Vec::new();
            let mut ticks = time::interval(rate.0);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for number in numbers {
                ticks.tick().await;
                if *ending.borrow() {
                    break;
                }
                let event = json!({"topic": "number", "event": "number", "data": number.to_string()});
                let sent = Instant::now();
                let outcome = publisher.publish(&event).await.and_then(|mut ids| ids.pop().ok_or("no id".into()));
                count.send_modify(|count| *count += u64::from(outcome.is_ok()));
                attempts.push(Attempt { number, sent, answered: Instant::now(), outcome });
            }
            Published(attempts)
        });
        Self { stop, acknowledged, task }
    }

    /// Waits until so many more were acknowledged from now on.
    pub async fn more_acknowledged(&mut self, more: u64) {
        let goal = *self.acknowledged.borrow() + more;
        let reached = timeout(Duration::from_mins(1), self.acknowledged.wait_for(|&count| count >= goal)).await;
        assert!(matches!(reached, Ok(Ok(_))), "publishing does not go on: {goal} acknowledged events were expected");
    }

    /// Publishes no more numbers, and says what was published.
    pub async fn stop(self) -> Published {
        self.stop.send_replace(true);
        self.done().await
    }

    /// Waits until all numbers are published, and says how it went.
    pub async fn done(self) -> Published {
        self.task.await.must("publish to the end")
    }

    /// The same, where none may be refused.
    pub async fn all_acknowledged(self) -> Published {
        let published = self.done().await;
        let refused: Vec<_> = published.refused().collect();
        assert!(refused.is_empty(), "every event should be acknowledged; refused: {refused:?}");
        published
    }
}
