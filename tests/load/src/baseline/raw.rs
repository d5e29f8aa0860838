//! The floor: one epoll loop; an event is encoded once and written to every socket in turn.
//!
//! Subscribers' sockets block, so that a full one slows the publisher instead of losing an event.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    io::Errno,
};

const LISTENER: u64 = 0;

/// What a subscriber is told first; the id is where the stream is.
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";

/// Serves `GET /events` and `POST /publish` until the process ends.
pub fn serve(listener: TcpListener) -> io::Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    listener.set_nonblocking(true)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut server = Server { epoll, listener, requests: HashMap::new(), subscribers: Vec::new(), published: 0 };
    let mut events = Vec::with_capacity(1024);
    loop {
        match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => server.accept()?,
                socket => server.read(socket),
            }
        }
    }
}

struct Server {
    epoll: OwnedFd,
    listener: TcpListener,
    /// Connections that have not subscribed, by descriptor, with what has come.
    requests: HashMap<u64, (TcpStream, Vec<u8>)>,
    subscribers: Vec<TcpStream>,
    published: u64,
}

impl Server {
    fn accept(&mut self) -> io::Result<()> {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nodelay(true)?;
            let key = u64::try_from(socket.as_raw_fd()).unwrap_or(LISTENER);
            epoll::add(&self.epoll, &socket, EventData::new_u64(key), EventFlags::IN)?;
            self.requests.insert(key, (socket, Vec::new()));
        }
        Ok(())
    }

    fn read(&mut self, key: u64) {
        let mut buffer = [0; 16 * 1024];
        let Some((socket, request)) = self.requests.get_mut(&key) else { return };
        let Ok(length @ 1..) = socket.read(&mut buffer) else {
            self.requests.remove(&key);
            return;
        };
        request.extend_from_slice(&buffer[..length]);
        while let Some((_, request)) = self.requests.get_mut(&key) {
            let Some((head, body, length)) = split(request) else { return };
            let subscribes = head.starts_with("GET ");
            let data = request[body..length].to_vec();
            request.drain(..length);
            let Some((mut socket, request)) = self.requests.remove(&key) else { return };
            if subscribes {
                // One that leaves is noticed by the next write.
                let watched = epoll::delete(&self.epoll, &socket);
                if watched.is_ok() && socket.write_all(HEAD.as_bytes()).is_ok() {
                    self.subscribers.push(socket);
                }
                return;
            }
            // Before the event goes out: a publisher that waits would set a pace that the loop can keep.
            self.published += 1;
            let ids = format!("{{\"ids\":[\"raw-{}\"]}}", self.published);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{ids}", ids.len());
            if socket.write_all(answer.as_bytes()).is_ok() {
                self.requests.insert(key, (socket, request));
            }
            self.publish(&data);
        }
    }

    fn publish(&mut self, data: &[u8]) {
        let mut event = format!("id: raw-{}\ndata: ", self.published).into_bytes();
        event.extend_from_slice(data);
        event.extend_from_slice(b"\n\n");
        let mut chunk = format!("{:x}\r\n", event.len()).into_bytes();
        chunk.append(&mut event);
        chunk.extend_from_slice(b"\r\n");
        self.subscribers.retain_mut(|socket| socket.write_all(&chunk).is_ok());
    }
}

/// A whole request's head, where its body begins and ends.
fn split(request: &[u8]) -> Option<(&str, usize, usize)> {
    let end = memchr::memmem::find(request, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&request[..end]).ok()?;
    let is_length = |line: &&str| line.get(..15).is_some_and(|name| name.eq_ignore_ascii_case("content-length:"));
    let length = head.lines().find(is_length).and_then(|line| line[15..].trim().parse().ok()).unwrap_or(0);
    (request.len() >= end + 4 + length).then_some((head, end + 4, end + 4 + length))
}
