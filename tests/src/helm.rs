//! Running `helm` on this repository's chart.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The folder of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the chart.
pub fn chart() -> PathBuf {
    repository().join("charts/ssefleet")
}

/// What helm printed, or what it said when it refused.
pub fn helm(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String, String> {
    let output = Command::new("helm").args(arguments).current_dir(repository()).stdin(Stdio::null()).output().map_err(
        |cause| {
            format!("helm cannot be run ({cause}): install Helm 4, or `eval \"$(tests/cluster/cluster env)\"` before")
        },
    )?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
