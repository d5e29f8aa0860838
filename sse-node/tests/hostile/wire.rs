//! Bytes to a listener, and what it says to them.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::PATIENCE;

/// A socket on which something was said.
pub async fn say(address: SocketAddr, words: impl AsRef<[u8]>) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    // It may be over before all is said.
    let _ = socket.write_all(words.as_ref()).await;
    socket
}

/// All that is said until the connection is over.
pub async fn hear_out(socket: &mut TcpStream) -> String {
    let mut told = Vec::new();
    // Not all that was said may have been read: then the end is a reset.
    let _ = timeout(PATIENCE, socket.read_to_end(&mut told)).await.expect("the connection does not end");
    String::from_utf8_lossy(&told).into_owned()
}

/// Reads until the text holds something.
pub async fn hear(socket: &mut TcpStream, until: &str) -> String {
    let mut told = String::new();
    let reading = async {
        let mut bytes = [0; 4096];
        while !told.contains(until) {
            let count = socket.read(&mut bytes).await.unwrap();
            assert!(count > 0, "the connection is over: {told}");
            told.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("no {until:?}"));
    told
}

/// The statuses of the answers in what was said.
pub fn statuses(told: &str) -> Vec<u16> {
    told.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)?.parse().ok()).collect()
}
