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
    /// Those from now on: to be called before the manifest is read for the start, as it may change right after.
    pub fn since_now(file: PathBuf) -> Self {
        let known = std::fs::read(&file).ok();
        Self { file, known }
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
pub async fn watch(mut changes: Changes, current: Arc<Current>, hub: Arc<Hub>, auth: Arc<Auth>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_changes_between_the_first_look_and_the_start_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stream.yaml");
        let write = |path: &str| {
            let text = format!(
                "{{apiVersion: ssefleet.dev/v1alpha1, kind: SseStream, metadata: {{name: quotes}}, spec: {{path: {path}}}}}"
            );
            std::fs::write(&file, text).unwrap();
        };
        write("/before");
        let mut changes = Changes::since_now(file.clone());
        assert_eq!(read(&file).unwrap().path, "/before");
        write("/after");
        let next = tokio::time::timeout(LOOK * 10, changes.next()).await;
        assert_eq!(next.expect("it is never found").unwrap().path, "/after");
    }
}
