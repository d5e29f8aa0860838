//! A manifest that may change while it is used.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ssefleet_crds::Stream;
use tracing::warn;

use crate::{
    auth::Auth,
    config::{ConfigError, Current, read},
    fanout::hub::Hub,
};

/// How often it is looked at. A kubelet takes up to a minute to bring a new one, unless it is prompted.
const LOOK: Duration = Duration::from_secs(1);

/// The changes of one manifest.
pub struct Changes {
    file: PathBuf,
    known: Option<Vec<u8>>,
}

impl Changes {
    /// Those from now on.
    pub fn since_now(file: PathBuf) -> Self {
        let known = std::fs::read(&file).ok();
        Self { file, known }
    }

    /// The first look counts as one: the manifest may have changed since it was read.
    pub fn since_earlier(file: PathBuf) -> Self {
        Self { file, known: None }
    }

    /// Waits for the next one. An error is told to the log here: what was before still holds.
    pub async fn next(&mut self) -> Result<Stream, ConfigError> {
        loop {
            tokio::time::sleep(LOOK).await;
            let found = std::fs::read(&self.file).ok();
            if found == self.known {
                continue;
            }
            self.known = found;
            let read = read(&self.file);
            if let Err(error) = &read {
                warn!(%error, "the manifest has changed and can't be used: the one before still holds");
            }
            return read;
        }
    }
}

/// Follows the manifest for ever. One that is bad changes nothing.
pub async fn watch(file: PathBuf, current: Arc<Current>, hub: Arc<Hub>, auth: Arc<Auth>) {
    let mut changes = Changes::since_now(file);
    loop {
        match changes.next().await {
            Ok(stream) => {
                current.change(stream);
                let stream = current.get();
                hub.reconfigure(&stream);
                auth.reconfigure(&stream.auth);
            }
            Err(error) => current.refuse(&error),
        }
    }
}
