//! A client that writes as a node does: inline commands, and WAIT behind each event.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::pods::LOG;

/// A connection to one Redis or Sentinel.
pub struct Client(BufReader<TcpStream>);

impl Client {
    pub fn connect(address: &str, port: u16, password: &str) -> Option<Self> {
        let socket = TcpStream::connect((address, port)).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
        let mut client = Self(BufReader::new(socket));
        let quoted = password.replace('\\', r"\\").replace('"', "\\\"");
        (client.ask(&format!("AUTH \"{quoted}\""))? == "OK").then_some(client)
    }

    /// The answer: what a simple or bulk reply says, or the error; of an array, all that is in it. None: there is no answer.
    pub fn ask(&mut self, command: &str) -> Option<String> {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut words = Vec::new();
        self.read(&mut words)?;
        Some(words.join(" "))
    }

    fn read(&mut self, words: &mut Vec<String>) -> Option<()> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1)?;
        match (kind, rest.parse::<i32>()) {
            ("$" | "*", Ok(..0)) => {}
            ("$", Ok(length)) => {
                let mut text = vec![0; usize::try_from(length).ok()? + 2];
                self.0.read_exact(&mut text).ok()?;
                words.push(String::from_utf8(text).ok()?.trim_end().to_owned());
            }
            ("*", Ok(count)) => (0..count).try_for_each(|_| self.read(words))?,
            _ => words.push(rest.to_owned()),
        }
        Some(())
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Adds an event; whether it was taken, and by this many replicas.
    pub fn append(&mut self, number: u32, replicas: u32) -> bool {
        let Some(id) = self.ask(&format!("XADD {LOG} 5-* n {number}")) else { return false };
        if !id.starts_with("5-") {
            return false;
        }
        let held = self.ask(&format!("WAIT {replicas} 1000")).and_then(|held| held.parse::<u32>().ok());
        held.is_some_and(|held| held >= replicas)
    }
}
