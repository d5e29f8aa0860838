//! Messages that others PUBLISH on a Redis channel, heard on a connection of its own.

use std::{io, time::Duration};

use futures_util::{StreamExt, future::BoxFuture};
use redis::{
    Msg, RedisError,
    aio::{PubSubSink, PubSubStream},
};
use tokio::time::timeout;
use tracing::warn;

use super::{Route, broken};
use crate::broker::{Broadcasts, BrokerError};

/// After so long a silence the connection is tried: one whose other end is gone says nothing either.
const SILENCE: Duration = Duration::from_secs(10);
/// How long it may take to answer then.
const ANSWER: Duration = Duration::from_secs(5);

/// One who listens on a channel.
pub struct Listener<'a> {
    route: &'a Route,
    channel: String,
    max_bytes: usize,
    connection: Option<(PubSubSink, PubSubStream)>,
}

impl<'a> Listener<'a> {
    pub fn new(route: &'a Route, channel: &str, max_bytes: usize) -> Self {
        Self { route, channel: channel.into(), max_bytes, connection: None }
    }

    async fn subscribe(&self) -> Result<(PubSubSink, PubSubStream), BrokerError> {
        let (mut sink, stream) = self.route.listen().await?.split();
        let subscribed = timeout(ANSWER, sink.subscribe(&self.channel)).await.map_err(|_| silent())?;
        subscribed.map_err(broken)?;
        Ok((sink, stream))
    }

    /// The text of a message; none if it is too long for a frame.
    fn text(&self, message: &Msg) -> Option<String> {
        let bytes = message.get_payload_bytes();
        if bytes.len() > self.max_bytes {
            let (size, limit, channel) = (bytes.len(), self.max_bytes, &self.channel);
            warn!(size, limit, channel, "a message was dropped: it is larger than history.maxEventBytes");
            return None;
        }
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

impl Broadcasts for Listener<'_> {
    fn next(&mut self) -> BoxFuture<'_, Result<String, BrokerError>> {
        Box::pin(async move {
            // Put back before each wait, so that a `next` that is dropped while it waits loses nothing.
            if self.connection.is_none() {
                self.connection = Some(self.subscribe().await?);
            }
            loop {
                let heard = match &mut self.connection {
                    Some((sink, stream)) => hear(sink, stream).await,
                    None => Err(silent()),
                };
                match heard {
                    Ok(message) => {
                        if let Some(text) = self.text(&message) {
                            return Ok(text);
                        }
                    }
                    Err(error) => {
                        self.connection = None;
                        return Err(error);
                    }
                }
            }
        })
    }
}

/// Waits for a message, and makes sure now and then that one could come.
async fn hear(sink: &mut PubSubSink, stream: &mut PubSubStream) -> Result<Msg, BrokerError> {
    loop {
        match timeout(SILENCE, stream.next()).await {
            Ok(Some(message)) => return Ok(message),
            Ok(None) => return Err(silent()),
            Err(_) => {
                let pong = timeout(ANSWER, sink.ping::<redis::Value>()).await.map_err(|_| silent())?;
                pong.map_err(broken)?;
            }
        }
    }
}

fn silent() -> BrokerError {
    BrokerError::Away(RedisError::from(io::Error::from(io::ErrorKind::ConnectionReset)))
}
