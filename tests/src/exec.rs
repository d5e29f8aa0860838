//! What a command in a container says.

use k8s_openapi::api::core::v1::Pod;
use kube::api::AttachParams;
use tokio::io::AsyncReadExt;

use crate::{must::Must, stream::Stream};

/// Runs a script in a container of one of the stream's pods; what it wrote to its output, if there was anything.
pub async fn shell(stream: &Stream, pod: &str, container: &str, script: &str) -> Option<String> {
    let attach = AttachParams::default().container(container).stderr(false);
    let mut running = stream.api::<Pod>().exec(pod, ["sh", "-c", script], &attach).await.ok()?;
    let mut said = String::new();
    running.stdout().must("read what a command says").read_to_string(&mut said).await.ok()?;
    let said = said.trim().to_owned();
    (!said.is_empty()).then_some(said)
}
