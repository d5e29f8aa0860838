//! A server as a child process: it ends with this value, and its CPU time and memory are read from /proc.

use std::{
    collections::HashMap,
    fs, io,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// What a process and its descendants have used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Nanoseconds.
    pub cpu: u64,
    /// Resident memory in KiB; what processes share is divided among them.
    pub memory: u64,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Kill,
    /// Its children end only if it is asked to.
    Terminate,
}

pub struct Process {
    child: Child,
    end: End,
}

/// How long a process may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(5);

impl Process {
    pub fn start(command: &mut Command, end: End) -> io::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().map_err(|error| io::Error::other(format!("can't start {program}: {error}")))?;
        Ok(Self { child, end })
    }

    /// Ends it without a warning, as a crash would.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// None while it runs.
    pub fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    pub fn cost(&self) -> io::Result<Cost> {
        let mut cost = Cost::default();
        for pid in family(self.child.id())? {
            cost.cpu += cpu(pid)?;
            cost.memory += memory(pid)?;
        }
        Ok(cost)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors here are processes that have ended.
        let family = family(self.child.id()).unwrap_or_default();
        if self.end == End::Terminate && self.ended().is_none() {
            signal(self.child.id(), Signal::TERM);
            let begun = Instant::now();
            while self.ended().is_none() && begun.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(10));
            }
        }
        if self.ended().is_none() {
            for pid in family {
                signal(pid, Signal::KILL);
            }
            self.child.wait().ok();
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

/// A process and its descendants.
fn family(root: u32) -> io::Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // The name of a program may have spaces and ends with the last bracket; the state and the parent follow.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(pid);
    }
    let mut family = vec![root];
    let mut index = 0;
    while let Some(pid) = family.get(index) {
        family.extend(children.remove(pid).unwrap_or_default());
        index += 1;
    }
    Ok(family)
}

/// The time that a process' threads were on a CPU; those that have ended are not counted, so it is for servers whose
/// threads stay.
fn cpu(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // An error is a thread that has ended since.
        let schedstat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        sum += schedstat.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

fn memory(pid: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/smaps_rollup has no Pss")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_costs_and_ends_with_its_value() {
        let mut command = Command::new("sh");
        let process = Process::start(command.args(["-c", "i=0; while :; do i=$((i + 1)); done & wait"]), End::Kill);
        let process = process.expect("start a shell");
        let begun = Instant::now();
        let pids = loop {
            let pids = family(process.child.id()).expect("its family");
            if pids.len() == 2 && process.cost().expect("its cost").cpu > 0 {
                break pids;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{pids:?} are no family, or cost nothing");
        };
        assert!(process.cost().expect("its cost").memory > 0);
        drop(process);
        // The child's child is no longer the parent's, and may take a moment.
        while fs::read_to_string(format!("/proc/{}/stat", pids[1])).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it still runs");
        }
    }
}
