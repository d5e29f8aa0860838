//! Tens of thousands of subscribers in one thread: sockets in one epoll, a buffer they share, and no task for any.
//!
//! [`options`] is the command line, [`connection`] one subscriber, [`report`] what is found, [`processes`] the way
//! to more sockets than a process may have. Here is the loop: open what is due, wait, read, check.

pub mod connection;
pub mod options;
pub mod processes;
pub mod report;
mod sums;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    net::Ipv4Addr,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
    },
    io::Errno,
};

use self::{
    connection::{Connection, Over, Phase},
    options::{Options, Url},
    report::{Arrivals, Findings},
    sums::Sums,
};
use crate::{histogram::Histogram, payload::now};

/// The epoll datum of stdin; a connection's is its index.
const STDIN: u64 = u64::MAX;

/// As long as nothing is due.
const TICK: Duration = Duration::from_millis(20);

/// A server that refuses without a `retry:` is asked again after this.
const PAUSE: Duration = Duration::from_millis(500);

struct Swarm {
    options: Options,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Which connection is to be opened when, in nanoseconds.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    /// Connections that wait for their head.
    opening: usize,
    connected: usize,
    /// Those who have been connected once.
    joined: usize,
    /// Connections that have all they were to have.
    complete: usize,
    /// They are to stay away.
    away: bool,
    sums: Sums,
    /// For what is unpacked.
    room: Vec<u8>,
    /// What the connections show, in turn.
    tokens: Vec<String>,
    stop: bool,
    /// What of a line has come on stdin.
    command: Vec<u8>,
}

/// Runs until it has what was expected, is told to stop, or has waited long enough.
pub fn run(options: Options) -> io::Result<Findings> {
    let mut swarm = Swarm::new(options)?;
    let started = Instant::now();
    let timeout = Duration::from_secs(swarm.options.timeout);
    let (mut churned, mut told) = (started, started);
    let mut owed = 0.0;
    let mut buffer = vec![0; 64 * 1024];
    let mut events = Vec::with_capacity(1024);
    while !swarm.stop && !swarm.done() && started.elapsed() < timeout {
        swarm.open_due()?;
        let wait = Timespec::try_from(swarm.wait()).map_err(io::Error::other)?;
        match epoll::wait(&swarm.epoll, spare_capacity(&mut events), Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                STDIN => swarm.read_commands(&mut buffer),
                index => swarm.ready(usize::try_from(index).unwrap_or(usize::MAX), &mut buffer)?,
            }
        }
        // Not before all are there: who comes late has missed what was published meanwhile.
        if swarm.joined == swarm.connections.len() {
            owed += swarm.churn_in(churned.elapsed());
            while owed >= 1.0 {
                owed -= 1.0;
                swarm.churn_one();
            }
        }
        churned = Instant::now();
        if told.elapsed() >= Duration::from_millis(swarm.options.progress) {
            told = Instant::now();
            swarm.tell();
        }
    }
    swarm.tell();
    Ok(swarm.findings(started.elapsed()))
}

impl Swarm {
    fn new(options: Options) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        if connection::unblock(&rustix::stdio::stdin()).is_ok() {
            // A file or /dev/null can't be waited for, and tells nothing.
            epoll::add(&epoll, rustix::stdio::stdin(), EventData::new_u64(STDIN), EventFlags::IN).ok();
        }
        let start = now();
        let connections: Vec<_> = (0..options.connections).map(|i| Connection::new(&options, i)).collect();
        let due = |i: usize| start + (i as u64 * 1_000_000_000).checked_div(options.connect_rate).unwrap_or(0);
        let due = (0..options.connections).map(|i| Reverse((due(i), i))).collect();
        let sums = Sums {
            findings: Findings {
                connections: options.connections,
                arrivals: Arrivals::from(options.timed_from.max(options.first)),
                ..Findings::default()
            },
            latency: Histogram::default(),
            last: vec![0; options.topics.max(1)],
            opened: start,
        };
        let tokens = options.tokens()?;
        Ok(Self {
            options,
            epoll,
            connections,
            due,
            opening: 0,
            connected: 0,
            joined: 0,
            complete: 0,
            away: false,
            sums,
            room: vec![0; 64 * 1024],
            tokens,
            stop: false,
            command: Vec::new(),
        })
    }

    fn topic(&self, index: usize) -> Option<usize> {
        (self.options.offset + index).checked_rem(self.options.topics)
    }

    /// Where a connection goes now.
    fn servers(&self, index: usize) -> &[Url] {
        let Options { url, return_url, .. } = &self.options;
        if self.connections[index].returns && !return_url.is_empty() { return_url } else { url }
    }

    /// Which of the servers: who comes back from churn comes back anywhere.
    fn choose(&self, index: usize) -> usize {
        let anywhere = self.connections[index].returns && self.options.churn > 0.0;
        let spread = if anywhere { fastrand::usize(..) } else { self.options.offset + index };
        spread % self.servers(index).len()
    }

    fn source(&self, index: usize) -> Option<Ipv4Addr> {
        let sources = &self.options.source_ips;
        sources.get(index.checked_rem(sources.len())?).copied()
    }

    /// Opens what is due, as far as there may be more at a time.
    fn open_due(&mut self) -> io::Result<()> {
        let now = now();
        while !self.away && self.opening < self.options.connecting {
            match self.due.peek() {
                Some(Reverse((due, _))) if *due <= now => {}
                _ => break,
            }
            let Some(Reverse((_, index))) = self.due.pop() else { break };
            if self.connections[index].socket.is_some() {
                continue;
            }
            let server = self.choose(index);
            let address = self.servers(index)[server].address;
            let source = self.source(index);
            self.connections[index].server = server;
            match self.connections[index].open(address, source) {
                Ok(socket) => {
                    self.opening += 1;
                    epoll::add(&self.epoll, socket, EventData::new_u64(index as u64), EventFlags::OUT)?;
                }
                Err(Errno::MFILE | Errno::NFILE) => {
                    let why = "no more sockets; use --processes, for one process may have 20,000";
                    return Err(io::Error::other(why));
                }
                Err(_) => self.come_back(index, PAUSE),
            }
        }
        Ok(())
    }

    fn wait(&self) -> Duration {
        match self.due.peek() {
            Some(Reverse((due, _))) if !self.away && self.opening < self.options.connecting => {
                Duration::from_nanos(due.saturating_sub(now())).min(TICK)
            }
            _ => TICK,
        }
    }

    /// A socket that is connected, or failed to, sends its request.
    fn request(&mut self, index: usize) -> io::Result<()> {
        let server = &self.servers(index)[self.connections[index].server];
        let token = (self.options.offset + index).checked_rem(self.tokens.len()).map(|at| &*self.tokens[at]);
        let authorization = token.map(|token| ("Authorization", format!("Bearer {token}")));
        let coding = self.options.accept_encoding.clone().map(|coding| ("Accept-Encoding", coding));
        let fields: Vec<_> = authorization.into_iter().chain(coding).collect();
        let request = server.request(self.topic(index), &self.connections[index].reader.id, &fields);
        let sent = self.connections[index].request(&request);
        match (sent, &self.connections[index].socket) {
            (Ok(()), Some(socket)) => {
                epoll::modify(&self.epoll, socket, EventData::new_u64(index as u64), EventFlags::IN)?;
            }
            _ => self.over(index, Over::Ended),
        }
        Ok(())
    }

    fn ready(&mut self, index: usize, buffer: &mut [u8]) -> io::Result<()> {
        let topic = self.topic(index);
        if matches!(self.connections[index].phase, Phase::Connecting) {
            return self.request(index);
        }
        let connection = &mut self.connections[index];
        let Some(socket) = &connection.socket else { return Ok(()) }; // closed since
        let over = match rustix::io::read(socket, &mut *buffer) {
            Ok(0) => Some(Over::Ended),
            Ok(length) => {
                let waiting = matches!(connection.phase, Phase::Head(_));
                let (sums, options, complete) = (&mut self.sums, &self.options, &mut self.complete);
                let now = now();
                sums.findings.bytes += length as u64;
                let fed = connection.feed(&buffer[..length], &mut self.room, |seen, event, id| {
                    *complete += usize::from(sums.take(options, topic, seen, event, id, now));
                });
                if waiting && matches!(connection.phase, Phase::Body(_)) {
                    self.opening -= 1;
                    self.connected += 1;
                    self.joined += usize::from(!std::mem::replace(&mut connection.joined, true));
                    if let Some(socket) = connection.socket.as_ref().filter(|_| connection.stalls) {
                        epoll::delete(&self.epoll, socket)?;
                        connection.phase = Phase::Stalled;
                    }
                }
                fed.err()
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(_) => Some(Over::Ended),
        };
        if let Some(over) = over {
            self.over(index, over);
        }
        Ok(())
    }

    /// The server ended a connection, or never began it.
    fn over(&mut self, index: usize, over: Over) {
        let findings = &mut self.sums.findings;
        match over {
            Over::Ended => findings.ended += 1,
            Over::Refused => findings.refused += 1,
            Over::Malformed => findings.malformed += 1,
        }
        self.close(index);
        let retry = self.connections[index].reader.retry.map(|retry| retry.min(self.options.retry_cap));
        self.come_back(index, retry.map_or(PAUSE, |retry| Duration::from_millis(retry.into())));
    }

    fn close(&mut self, index: usize) {
        match self.connections[index].phase {
            Phase::Closed => {}
            Phase::Connecting | Phase::Head(_) => self.opening -= 1,
            Phase::Body(_) | Phase::Stalled => self.connected -= 1,
        }
        self.connections[index].close();
    }

    fn come_back(&mut self, index: usize, pause: Duration) {
        self.connections[index].returns = true;
        self.sums.findings.reconnects += 1;
        self.due.push(Reverse((now() + u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX), index)));
    }

    #[allow(clippy::cast_precision_loss)] // connections are few for a float
    fn churn_in(&self, time: Duration) -> f64 {
        self.connections.len() as f64 * self.options.churn / 100.0 * time.as_secs_f64() / 60.0
    }

    /// Somebody who has an id to come back with leaves, and comes back when its stream asked to.
    fn churn_one(&mut self) {
        let index = fastrand::usize(..self.connections.len());
        let connection = &self.connections[index];
        if matches!(connection.phase, Phase::Body(_)) && !connection.reader.id.is_empty() {
            self.close(index);
            let retry = self.connections[index].reader.retry.unwrap_or(1_000).min(self.options.retry_cap);
            self.come_back(index, Duration::from_millis(retry.into()));
        }
    }

    fn read_commands(&mut self, buffer: &mut [u8]) {
        match rustix::io::read(rustix::stdio::stdin(), &mut *buffer) {
            Ok(0) => {
                epoll::delete(&self.epoll, rustix::stdio::stdin()).ok();
                self.stop |= self.options.part; // who started it is gone
            }
            Ok(length) => self.command.extend_from_slice(&buffer[..length]),
            Err(_) => {}
        }
        while let Some(end) = memchr::memchr(b'\n', &self.command) {
            let line: Vec<u8> = self.command.drain(..=end).collect();
            match line.trim_ascii() {
                b"storm" => {
                    self.leave();
                    self.return_all();
                }
                b"close" => self.leave(),
                b"open" => self.return_all(),
                b"stop" => self.stop = true,
                other => eprintln!("swarm: {:?} is not storm, close, open or stop", String::from_utf8_lossy(other)),
            }
        }
    }

    fn leave(&mut self) {
        self.away = true;
        self.due.clear();
        (0..self.connections.len()).for_each(|index| self.close(index));
    }

    fn return_all(&mut self) {
        self.away = false;
        self.due.clear();
        self.sums.opened = now();
        (0..self.connections.len()).for_each(|index| self.come_back(index, Duration::ZERO));
    }

    fn readers(&self) -> usize {
        self.connections.len() - self.options.stall.min(self.connections.len())
    }

    fn done(&self) -> bool {
        self.options.expect > 0 && !self.options.hold && self.complete >= self.readers()
    }

    fn tell(&self) {
        let findings = &self.sums.findings;
        let faults = findings.faults;
        eprintln!(
            "connected={} joined={} received={} complete={} bytes={} lost={} duplicated={} refused={}",
            self.connected,
            self.joined,
            findings.received,
            self.complete,
            findings.bytes,
            faults.lost,
            faults.duplicated,
            findings.refused
        );
    }

    /// The sums, with what is missing at the end.
    fn findings(self, duration: Duration) -> Findings {
        let Self { options, connections, complete, connected, sums, .. } = self;
        let readers = connections.len() - options.stall.min(connections.len());
        let mut findings = sums.findings;
        for (index, connection) in connections.iter().enumerate().filter(|(_, connection)| !connection.stalls) {
            let topic = (options.offset + index).checked_rem(options.topics).unwrap_or(0);
            let expected = if options.first > 0 { (options.first + options.expect).saturating_sub(1) } else { 0 };
            connection.sequence.end(sums.last[topic].max(expected), &mut findings.faults);
        }
        findings.incomplete = if options.expect > 0 { readers - complete } else { 0 };
        findings.connected = connected;
        findings.latency = sums.latency.sparse();
        findings.duration = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        findings
    }
}
