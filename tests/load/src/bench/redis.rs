//! What a Redis tells of itself, by `INFO`.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How many commands it has had, but for INFO.
pub fn commands(address: SocketAddr) -> io::Result<u64> {
    Ok(sum(&info(address, "commandstats")?))
}

/// One of its sections.
pub fn info(address: SocketAddr, section: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    writeln!(socket, "INFO {section}\r")?;
    let mut answer = BufReader::new(socket);
    let mut length = String::new();
    answer.read_line(&mut length)?;
    let length = length.trim().strip_prefix('$').and_then(|length| length.parse().ok());
    let mut text = String::new();
    answer.take(length.ok_or(io::ErrorKind::InvalidData)?).read_to_string(&mut text)?;
    Ok(text)
}

fn sum(info: &str) -> u64 {
    let lines = info.lines().filter(|line| !line.starts_with("cmdstat_info:"));
    lines.filter_map(|line| line.split_once(":calls=")?.1.split(',').next()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn calls_are_added_but_for_our_own() {
        let info = "# Commandstats\r\ncmdstat_xread:calls=7,usec=1,x=2\r\ncmdstat_info:calls=3,usec=1\r\n\
                    cmdstat_client|id:calls=2,usec=0\r\n";
        assert_eq!(super::sum(info), 9);
    }
}
