//! `sse-node health`: asks a node whether it lives, for a container's HEALTHCHECK without shell or curl.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Asks `GET /health` of the node on `address`. An error says what came instead of 200.
pub fn check(address: SocketAddr, within: Duration) -> io::Result<()> {
    let mut socket = TcpStream::connect_timeout(&address, within)?;
    socket.set_read_timeout(Some(within))?;
    socket.set_write_timeout(Some(within))?;
    write!(socket, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer)?;
    match &answer {
        b"HTTP/1.1 200" => Ok(()),
        other => Err(io::Error::other(format!("it answered {:?}", String::from_utf8_lossy(other)))),
    }
}
