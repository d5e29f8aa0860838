//! Starts servers, swarms and publishers as child processes, and reads what the servers cost.
//!
//! [`process`] is a child and its CPU and memory, [`servers`] what is measured, [`clients`] what measures, [`table`]
//! the result, [`tokens`] what subscribers may have to show, [`scenarios`] what is done. [`soak`] uses the same parts for half an hour.

pub mod clients;
pub mod process;
pub mod redis;
pub mod scenarios;
pub mod servers;
pub mod soak;
pub mod table;
pub mod tokens;

use std::{
    io,
    path::{Path, PathBuf},
};

/// Where things are.
pub struct Place {
    /// The sse-node that is measured.
    pub node: PathBuf,
    /// This crate's programs.
    pub tools: PathBuf,
    /// Configurations, logs and data; gone when the run ends.
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new(node: &Path) -> io::Result<Self> {
        let node = node.canonicalize().map_err(|error| {
            io::Error::other(format!(
                "--node {}: {error}; build it with cargo build --release -p sse-node",
                node.display()
            ))
        })?;
        let tools = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
        for tool in ["swarm", "publisher", "slowloris", "raw", "naive"] {
            if !tools.join(tool).exists() {
                return Err(io::Error::other(format!("{tool} is missing; cargo build --release -p ssefleet-load")));
            }
        }
        Ok(Self { node, tools, folder: tempfile::tempdir()? })
    }
}
