//! The program `conformance`, as a user starts it, and what it has found.

use std::{path::PathBuf, process::Stdio};

use serde::Deserialize;
use tempfile::NamedTempFile;
use tokio::process::Command;

/// A row of its JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct Finding {
    pub id: String,
    pub check: String,
    pub result: String,
    pub detail: String,
}

/// What it prints, its exit code, and its JSON.
pub struct Run {
    pub printed: String,
    pub complaints: String,
    pub code: i32,
    pub findings: Vec<Finding>,
}

pub async fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    let json = NamedTempFile::new().unwrap();
    let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_conformance")));
    command.args(arguments).arg("--json").arg(json.path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let findings = std::fs::read_to_string(json.path()).unwrap();
    Run {
        printed: text(output.stdout),
        complaints: text(output.stderr),
        code: output.status.code().unwrap(),
        findings: if findings.is_empty() { Vec::new() } else { serde_json::from_str(&findings).unwrap() },
    }
}
