//! An nginx of a test: one configuration, and all its files in one folder.

use std::{fs, path::Path, process::Command};

use crate::must::Must;

/// Of what the configuration says outside of `http`: one process. Workers would outlive a master that is killed.
pub const ALONE: &str = "master_process off;";

/// Runs it in the foreground, with this in its configuration outside of `http` and within.
pub fn command(folder: &Path, main: &str, http: &str) -> Command {
    let at = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .concat();
    let config = format!(
        "{main}\ndaemon off;\npid {at}/pid;\nerror_log {at}/error.log;\nevents {{ worker_connections 500; }}\n\
         http {{\naccess_log off;\n{temporary}{http}\n}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, config).must(format_args!("write {}", file.display()));
    let mut command = Command::new("nginx");
    command.arg("-c").arg(file);
    command
}
