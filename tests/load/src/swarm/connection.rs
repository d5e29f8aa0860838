//! One subscriber: a socket, where its answer is, and what it must see next. It costs a few hundred bytes, and
//! nothing while nothing comes.

use std::{net::Ipv4Addr, os::fd::OwnedFd};

use rustix::{
    io::{Errno, ioctl_fionbio},
    net::{AddressFamily, SocketAddrV4, SocketFlags, SocketType, bind, connect, socket_with, sockopt},
};

use super::options::Options;
use crate::{
    check::Sequence,
    gunzip::Gunzip,
    http::{self, Body},
    sse::{Event, Reader},
};

#[derive(Debug)]
pub struct Connection {
    pub socket: Option<OwnedFd>,
    pub phase: Phase,
    /// Unpacks the body, if it is packed.
    gunzip: Option<Gunzip>,
    pub reader: Reader,
    pub sequence: Sequence,
    /// The number in its last id.
    pub last_position: u64,
    /// It reads nothing after the head.
    pub stalls: bool,
    /// It has been connected once.
    pub joined: bool,
    /// It has been connected, or tried, before.
    pub returns: bool,
    /// Which of the servers it is connected to.
    pub server: usize,
}

#[derive(Debug, Default)]
pub enum Phase {
    #[default]
    Closed,
    /// The request is to be sent once the socket is writable.
    Connecting,
    /// What has come of the head.
    Head(Vec<u8>),
    Body(Body),
    Stalled,
}

/// Why a connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The server ended it, or it broke.
    Ended,
    /// A status other than 200.
    Refused,
    /// What came is no HTTP.
    Malformed,
}

impl Connection {
    pub fn new(options: &Options, index: usize) -> Self {
        Self {
            socket: None,
            phase: Phase::Closed,
            gunzip: None,
            reader: Reader::after(options.resume.as_deref().unwrap_or_default()),
            sequence: Sequence::from(options.first),
            last_position: 0,
            stalls: index < options.stall,
            joined: false,
            returns: false,
            server: 0,
        }
    }

    /// Begins to connect.
    pub fn open(&mut self, server: SocketAddrV4, source: Option<Ipv4Addr>) -> Result<&OwnedFd, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        if let Some(source) = source {
            bind(&socket, &SocketAddrV4::new(source, 0))?;
        }
        match connect(&socket, &server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        self.phase = Phase::Connecting;
        Ok(self.socket.insert(socket))
    }

    /// The socket is writable for the first time: sends the request.
    pub fn request(&mut self, request: &[u8]) -> Result<(), Over> {
        let socket = self.socket.as_ref().ok_or(Over::Ended)?;
        if !matches!(sockopt::socket_error(socket), Ok(Ok(()))) {
            return Err(Over::Ended);
        }
        // A socket's first buffer takes a request whole.
        match rustix::io::write(socket, request) {
            Ok(length) if length == request.len() => {
                self.phase = Phase::Head(Vec::new());
                Ok(())
            }
            _ => Err(Over::Ended),
        }
    }

    /// Takes what has come; `on` is called with each event and its id. `room` is for what is unpacked.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        room: &mut [u8],
        mut on: impl FnMut(&mut Seen, Event, &[u8]),
    ) -> Result<(), Over> {
        let rest;
        let mut bytes = bytes;
        if let Phase::Head(partial) = &mut self.phase {
            partial.extend_from_slice(bytes);
            let Some((head, length)) = http::head(partial).map_err(|_| Over::Malformed)? else { return Ok(()) };
            if head.status != 200 {
                return Err(Over::Refused);
            }
            rest = partial.split_off(length);
            bytes = &rest;
            self.phase = Phase::Body(Body::of(&head));
            self.gunzip = head.gzip.then(Gunzip::default);
        }
        let Phase::Body(body) = &mut self.phase else { return Ok(()) };
        let mut seen = Seen { sequence: &mut self.sequence, last_position: &mut self.last_position };
        while !bytes.is_empty() {
            let (data, taken) = body.next(bytes).map_err(|_| Over::Malformed)?;
            bytes = &bytes[taken..];
            let Some(gunzip) = &mut self.gunzip else {
                self.reader.feed(data, |event, id| on(&mut seen, event, id));
                continue;
            };
            let mut data = data;
            loop {
                let (taken, made) = gunzip.next(data, room).map_err(|_| Over::Malformed)?;
                data = &data[taken..];
                self.reader.feed(&room[..made], |event, id| on(&mut seen, event, id));
                if data.is_empty() && made < room.len() {
                    break;
                }
            }
        }
        if *body == Body::Ended { Err(Over::Ended) } else { Ok(()) }
    }

    /// Closes it; what it has seen stays, for when it comes back.
    pub fn close(&mut self) {
        self.socket = None;
        self.phase = Phase::Closed;
        self.gunzip = None;
        self.reader.reconnect();
    }
}

/// What a connection has seen, apart from its reader.
pub struct Seen<'a> {
    pub sequence: &'a mut Sequence,
    pub last_position: &'a mut u64,
}

/// Makes stdin one that can be waited for with the sockets.
pub fn unblock(fd: &impl std::os::fd::AsFd) -> Result<(), Errno> {
    ioctl_fionbio(fd, true)
}
