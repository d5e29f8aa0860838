//! `kubectl`, where what a user types is what is tested.

use ssefleet_tests::Must;
use tokio::process::Command;

/// All that it printed, or what it said when it failed.
pub async fn kubectl(arguments: &[&str]) -> Result<String, String> {
    // It keeps for hours what it knows of a server, and looks short names up in that only.
    let cache = tempfile::tempdir().must("make a folder for kubectl's cache");
    let mut kubectl = Command::new("kubectl");
    kubectl.arg("--cache-dir").arg(cache.path()).args(arguments).kill_on_drop(true);
    let output = kubectl.output().await.must("run kubectl");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    if output.status.success() { Ok(said) } else { Err(said) }
}
