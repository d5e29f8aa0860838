//! One core's subscribers: a thread that waits for their sockets, its mailbox and the next tick, and nothing
//! else. It owns its sockets; what it shares with others is the ring, which it reads.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::RwLock;
use rustix::{
    buffer::spare_capacity,
    event::{
        EventfdFlags,
        epoll::{self, EventData, EventFlags},
        eventfd,
    },
    net::{RecvFlags, SendFlags},
    time::Timespec,
};
use tokio::sync::oneshot;
use tracing::error;

use super::{
    audience::{Audience, Filter, Newcomer, Row, Sink, Timing},
    clock::Clock,
    index::Key,
    mailbox::{Bell, Mailbox},
    page::Found,
    replay::{Replay, Reply},
    ring::Ring,
    tap::Tap,
    tie::Tie,
};
use crate::{
    encode::Frame,
    metrics::{Closed, Metrics},
};

/// Whether someone's tie is no longer good.
pub type Over = Arc<dyn Fn(&Tie) -> bool + Send + Sync>;

/// What a shard is asked to do.
pub enum Command {
    Join(Box<Newcomer<Socket>>),
    Found(Key, Found),
    /// Something for all who are live.
    Broadcast(Frame),
    /// Ends so many streams.
    Close(usize, Closed),
    /// Ends the streams of those whose tie is no longer good.
    CloseWhere(Over, Closed),
    Retime(Timing),
    List(Filter, oneshot::Sender<Vec<Row>>),
    /// Shows what is written to a connection, by its id; the tap comes back if the connection is not here.
    Tap(u64, Tap, oneshot::Sender<Option<Tap>>),
    Stop,
}

/// How a shard is spoken to.
pub type Post = Arc<Mailbox<Command, Eventfd>>;

/// Wakes a thread that waits for it among its sockets.
pub struct Eventfd(OwnedFd);

impl Bell for Eventfd {
    fn ring(&self) {
        // It can only fail when it has been rung 2^64 times and never heard.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl Reply for Mailbox<Command, Eventfd> {
    fn found(&self, key: Key, found: Found) {
        self.send(Command::Found(key, found));
    }
}

/// A connection, or one end of a pair whose other end someone else reads.
pub struct Socket {
    fd: OwnedFd,
    /// Where a copy goes of what it takes.
    tap: Option<Box<Tap>>,
}

impl Socket {
    /// It must not block.
    pub fn new(fd: impl Into<OwnedFd>) -> Self {
        Self { fd: fd.into(), tap: None }
    }

    /// What the kernel has taken of some bytes is what the peer gets, so that is what is shown.
    #[cold]
    fn show<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>, mut taken: usize) {
        for part in parts {
            let length = part.len().min(taken);
            taken -= length;
            if length > 0 && !self.tap.as_mut().is_some_and(|tap| tap.copy(&part[..length])) {
                self.tap = None;
            }
        }
    }
}

impl Sink for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = rustix::net::send(&self.fd, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
        if self.tap.is_some() {
            self.show([bytes].into_iter(), taken);
        }
        Ok(taken)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let taken = rustix::io::writev(&self.fd, parts)?;
        if self.tap.is_some() {
            self.show(parts.iter().map(|part| &**part), taken);
        }
        Ok(taken)
    }

    fn end(&mut self, last: &[u8]) {
        let _ = self.write(last);
        // A socket that is closed with something unread resets the connection, and the last words with it.
        let mut unread = [0; 1024];
        for _ in 0..8 {
            match rustix::net::recv(&self.fd, &mut unread, RecvFlags::DONTWAIT) {
                Ok((1.., _)) => {}
                _ => break,
            }
        }
    }
}

/// A running shard. It ends when it is dropped.
pub struct Shard {
    pub post: Post,
    thread: Option<JoinHandle<()>>,
}

impl Shard {
    pub fn start(
        number: usize,
        ring: Arc<RwLock<Ring>>,
        replay: Arc<Replay>,
        metrics: Metrics,
        timing: Timing,
        clock: Clock,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &bell, EventData::new_u64(BELL), EventFlags::IN | EventFlags::ET)?;
        let post = Arc::new(Mailbox::new(Eventfd(bell)));
        let audience = Audience::new(ring, metrics, timing, clock.now());
        let worker = Worker { epoll, post: post.clone(), audience, replay, clock };
        let thread = thread::Builder::new().name(format!("shard-{number}")).spawn(|| worker.run())?;
        Ok(Self { post, thread: Some(thread) })
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.post.send(Command::Stop);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("a shard had panicked");
        }
    }
}

/// No key looks like this: it would be that of the last of 2^32 connections.
const BELL: u64 = u64::MAX;

struct Worker {
    epoll: OwnedFd,
    post: Post,
    audience: Audience<Socket>,
    replay: Arc<Replay>,
    clock: Clock,
}

impl Worker {
    fn run(mut self) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
        let mut commands = Vec::new();
        let mut more = false;
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), self.timeout(more).as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    error!(%error, "a shard can't wait for its sockets");
                    return;
                }
            }
            let now = self.clock.now();
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                match data.u64() {
                    BELL => {}
                    key if flags.intersects(EventFlags::ERR) => self.audience.leave(key.into(), Closed::Dead),
                    key if flags.intersects(EventFlags::HUP | EventFlags::RDHUP) => {
                        self.audience.leave(key.into(), Closed::ByClient);
                    }
                    key => self.audience.writable(key.into(), now),
                }
            }
            self.post.take(&mut commands);
            for command in commands.drain(..) {
                match command {
                    Command::Stop => {
                        self.audience.close_some(usize::MAX, Closed::Cut);
                        return;
                    }
                    command => self.obey(command),
                }
            }
            more = self.audience.dispatch(now);
            self.audience.catch_up(now);
            self.audience.tick(now);
            self.ask();
            more |= self.audience.has_ready();
        }
    }

    fn timeout(&self, more: bool) -> Option<Timespec> {
        if more {
            return Some(Timespec { tv_sec: 0, tv_nsec: 0 });
        }
        let wait = self.clock.until(self.audience.next_visit()?).max(Duration::from_millis(1));
        Timespec::try_from(wait).ok()
    }

    fn obey(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Join(newcomer) => {
                let key = self.audience.join(*newcomer, now);
                let Some(socket) = self.audience.sink(key) else { return };
                // By edges: the kernel speaks only when a socket that was full no longer is, or has ended.
                let flags = EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                if epoll::add(&self.epoll, socket.fd.as_fd(), EventData::new_u64(key.into()), flags).is_err() {
                    self.audience.leave(key, Closed::Dead);
                }
            }
            Command::Found(key, found) => self.audience.found(key, found),
            Command::Broadcast(frame) => self.audience.broadcast(&frame, now),
            Command::Close(count, why) => {
                self.audience.close_some(count, why);
            }
            Command::CloseWhere(is_over, why) => self.audience.close_where(&*is_over, why),
            Command::Retime(timing) => self.audience.retime(timing),
            Command::List(filter, reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.audience.list(&filter, now));
            }
            Command::Tap(id, tap, reply) => {
                let left = match self.audience.sink_of(id) {
                    Some(socket) => {
                        if let Some(before) = socket.tap.replace(Box::new(tap)) {
                            before.end("another tap of this connection has begun");
                        }
                        None
                    }
                    None => Some(tap),
                };
                let _ = reply.send(left);
            }
            Command::Stop => {}
        }
    }

    fn ask(&mut self) {
        let mut answered = Vec::new();
        for (key, need) in self.audience.take_asks() {
            if let Some(found) = self.replay.get(need, key, self.post.clone()) {
                answered.push((key, found));
            }
        }
        for (key, found) in answered {
            self.audience.found(key, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn a_tap_shows_what_the_socket_took_of_it() {
        let pair = || {
            let (ours, theirs) = UnixStream::pair().unwrap();
            theirs.set_nonblocking(true).unwrap();
            ours.set_nonblocking(true).unwrap();
            (ours, theirs)
        };
        let ((ours, mut peer), (end, mut shown)) = (pair(), pair());
        let mut socket = Socket::new(ours);
        socket.tap = Some(Box::new(Tap::new(end, "over")));
        let read = |end: &mut UnixStream| {
            let mut bytes = Vec::new();
            let _ = end.read_to_end(&mut bytes); // it would block
            bytes
        };
        let (one, other) = (vec![1; 70_000], vec![2; 50_000]);
        let (mut at_the_peer, mut at_the_tap, mut partly) = (Vec::new(), Vec::new(), false);
        for _ in 0..100 {
            let taken = socket.write_vectored(&[io::IoSlice::new(&one), io::IoSlice::new(&other)]).unwrap();
            partly = taken < one.len() + other.len();
            at_the_tap.extend(read(&mut shown));
            if partly {
                break;
            }
        }
        assert!(partly, "the socket never fills up");
        at_the_peer.extend(read(&mut peer));
        socket.write(b"between").unwrap();
        socket.end(b"the end");
        at_the_peer.extend(read(&mut peer));
        at_the_tap.extend(read(&mut shown));
        assert!(at_the_peer == at_the_tap && at_the_tap.ends_with(b"betweenthe end"), "{}", at_the_tap.len());
    }
}
