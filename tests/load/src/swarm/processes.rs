//! More sockets than one process may have: the same program several times, each with its share, and one result.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{options::Options, report::Findings};

/// The figures of a line of progress, in the order of the line.
type Progress = Vec<(String, u64)>;

/// Starts the shares, passes commands and progress on, and adds up what they found.
pub fn run(options: &Options) -> io::Result<Findings> {
    let shares = usize::from(options.processes);
    let mut children = Vec::new();
    let mut offset = 0;
    for share in 0..shares {
        let connections = part(options.connections, shares, share);
        let stall = part(options.stall, shares, share);
        children.push(Share::start(options, share, connections, offset, stall)?);
        offset += connections;
    }
    let progress = Arc::new(Mutex::new(vec![Progress::new(); shares]));
    let mut inputs = Vec::new();
    let mut outputs = Vec::new();
    for (share, Share(child)) in children.iter_mut().enumerate() {
        inputs.extend(child.stdin.take());
        if let Some(errors) = child.stderr.take() {
            let progress = Arc::clone(&progress);
            thread::spawn(move || follow(BufReader::new(errors), share, &progress));
        }
        outputs.extend(child.stdout.take().map(|mut output| {
            thread::spawn(move || {
                let mut text = String::new();
                output.read_to_string(&mut text).map(|_| text)
            })
        }));
    }
    thread::spawn(move || forward(inputs));
    let mut told = Instant::now();
    while outputs.iter().any(|output| !output.is_finished()) {
        thread::sleep(Duration::from_millis(20));
        if told.elapsed() >= Duration::from_millis(options.progress) {
            told = Instant::now();
            tell(&progress.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
    let mut findings = Findings::default();
    for output in outputs {
        let text = output.join().map_err(|_| io::Error::other("a share's reader failed"))??;
        let part = serde_json::from_str(&text);
        findings.add(&part.map_err(|error| io::Error::other(format!("a share ended without a result: {error}")))?);
    }
    Ok(findings)
}

/// A process; it does not outlive this value.
struct Share(Child);

impl Share {
    fn start(options: &Options, share: usize, connections: usize, offset: usize, stall: usize) -> io::Result<Self> {
        let rate = part(usize::try_from(options.connect_rate).unwrap_or(usize::MAX), options.processes.into(), share);
        let rate = if options.connect_rate > 0 { rate.max(1) } else { 0 };
        Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .args(["--part", "--processes", "1"])
            .args(["--connections".to_owned(), connections.to_string()])
            .args(["--offset".to_owned(), offset.to_string()])
            .args(["--stall".to_owned(), stall.to_string()])
            .args(["--connect-rate".to_owned(), rate.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map(Self)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.kill().ok(); // an error is one that has ended
        self.0.wait().ok();
    }
}

/// The share of one among several; the first ones have what does not divide.
fn part(all: usize, shares: usize, share: usize) -> usize {
    all / shares + usize::from(share < all % shares)
}

/// Passes stdin's lines to all; at its end they go on, as the inputs stay open.
fn forward(mut inputs: Vec<impl Write>) {
    for line in io::stdin().lines().map_while(Result::ok) {
        for input in &mut inputs {
            writeln!(input, "{line}").and_then(|()| input.flush()).ok(); // a share that has ended needs no commands
        }
    }
    loop {
        thread::park();
    }
}

fn follow(errors: impl BufRead, share: usize, progress: &Mutex<Vec<Progress>>) {
    for line in errors.lines().map_while(Result::ok) {
        match figures(&line) {
            Some(figures) => progress.lock().unwrap_or_else(PoisonError::into_inner)[share] = figures,
            None => eprintln!("{line}"),
        }
    }
}

/// A line of progress: `connected=10 received=100 …`.
pub fn figures(line: &str) -> Option<Progress> {
    let figure = |word: &str| word.split_once('=').and_then(|(name, value)| Some((name.into(), value.parse().ok()?)));
    line.split(' ').map(figure).collect()
}

fn tell(progress: &[Progress]) {
    let Some(first) = progress.iter().find(|figures| !figures.is_empty()) else { return };
    let sum = |index| progress.iter().filter_map(|figures: &Progress| figures.get(index)).map(|(_, value)| value).sum();
    let words = first.iter().enumerate().map(|(index, (name, _))| {
        format!("{name}={}", {
            let sum: u64 = sum(index);
            sum
        })
    });
    eprintln!("{}", words.collect::<Vec<_>>().join(" "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        let shares: Vec<usize> = (0..3).map(|share| part(95_000, 3, share)).collect();
        assert_eq!((shares.iter().sum::<usize>(), shares[0] - shares[2]), (95_000, 1));
    }

    #[test]
    fn progress_is_names_and_numbers() {
        assert_eq!(figures("connected=10 received=0"), Some(vec![("connected".into(), 10), ("received".into(), 0)]));
        assert_eq!(figures("swarm: no more sockets"), None);
    }
}
