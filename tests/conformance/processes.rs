//! Servers of other programs, each with a folder of its own, that do not outlive their test.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};

use crate::PATIENCE;

pub struct Process {
    name: &'static str,
    child: Child,
    folder: TempDir,
}

/// An address that nobody listened at a moment ago.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

impl Process {
    /// Starts what the command is once it knows its folder; returns when it listens.
    pub async fn start(name: &'static str, listens: &[SocketAddr], command: impl FnOnce(&Path) -> Command) -> Self {
        let folder = TempDir::with_prefix("ssefleet-conformance-").unwrap();
        let mut command = command(folder.path());
        let log = File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("can't start {name}: {error}"));
        let mut process = Self { name, child, folder };
        let begun = Instant::now();
        for address in listens {
            while TcpStream::connect(address).await.is_err() {
                let ended = process.child.try_wait().unwrap();
                let late = begun.elapsed() > PATIENCE;
                assert!(ended.is_none() && !late, "{name} does not listen ({ended:?}): {}", process.log());
                sleep(Duration::from_millis(20)).await;
            }
        }
        process
    }

    pub fn log(&self) -> String {
        let mut log = String::new();
        for file in ["log", "error.log"] {
            log += &fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        }
        log
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    /// In order, so that those it has started end too; and for sure. Unlike SIGTERM, SIGINT is no reason for a node to
    /// wait for proxies.
    fn drop(&mut self) {
        let begun = Instant::now();
        if let Ok(None) = self.child.try_wait() {
            kill_process(Pid::from_child(&self.child), Signal::INT).ok();
        }
        while let Ok(None) = self.child.try_wait() {
            if begun.elapsed() > Duration::from_secs(3) {
                self.child.kill().ok();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if std::thread::panicking() {
            println!("── {}:\n{}", self.name, self.log());
        }
    }
}
