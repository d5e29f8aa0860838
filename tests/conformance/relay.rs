//! A TCP proxy between a client and whoever serves it: it sees what is asked, and can cut connections, turn new ones to
//! another server, and hold answers back.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use crate::PATIENCE;

/// A request for the stream, and the beginning of what was answered.
#[derive(Clone, Debug)]
pub struct Ask {
    pub at: Instant,
    pub head: String,
    pub answer: String,
}

impl Ask {
    /// A field of the request.
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// A field of the answer.
    pub fn answered(&self, name: &str) -> Option<&str> {
        field(&self.answer, name)
    }

    /// The answer's `retry:`, in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        self.answer.lines().find_map(|line| line.strip_prefix("retry: ")?.parse().ok())
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
    fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

pub struct Relay {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    server: watch::Sender<SocketAddr>,
    /// Counts how often all connections were cut.
    cuts: watch::Sender<u32>,
    held: watch::Sender<bool>,
    asks: watch::Sender<Vec<Ask>>,
}

/// How much of an answer is kept.
const BEGINNING: usize = 8 << 10;

impl Relay {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: watch::Sender::new(server),
            cuts: watch::Sender::new(0),
            held: watch::Sender::new(false),
            asks: watch::Sender::new(Vec::new()),
        });
        let accepting = tokio::spawn({
            let shared = shared.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(shared.clone().pass(client));
                }
            }
        });
        Self { address, shared, accepting }
    }

    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Drops all connections.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// New connections go to another server.
    pub fn turn_to(&self, server: SocketAddr) {
        self.shared.server.send_replace(server);
    }

    /// What servers say is kept back, or no longer.
    pub fn hold_answers(&self, hold: bool) {
        self.shared.held.send_replace(hold);
    }

    pub fn asks(&self) -> Vec<Ask> {
        self.shared.asks.borrow().clone()
    }

    /// Waits until what was asked and answered is as wanted.
    pub async fn until(&self, what: &str, holds: impl Fn(&[Ask]) -> bool) -> Vec<Ask> {
        let mut asks = self.shared.asks.subscribe();
        let Ok(asks) = timeout(PATIENCE, asks.wait_for(|asks| holds(asks))).await else {
            panic!("still not: {what}; asked and answered was {:#?}", self.asks());
        };
        asks.unwrap().clone()
    }

    /// Waits until the stream was asked for so many times, and answered.
    pub async fn answered(&self, times: usize) -> Vec<Ask> {
        let is_answered = |ask: &Ask| ask.answer.contains("\r\n\r\n");
        self.until(&format!("{times} requests"), |asks| asks.len() >= times && asks.iter().all(is_answered)).await
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Shared {
    /// Ends when either side ends, or all are cut.
    async fn pass(self: Arc<Self>, client: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        let server = *self.server.borrow();
        let Ok(server) = TcpStream::connect(server).await else { return };
        for socket in [&client, &server] {
            socket.set_nodelay(true).unwrap();
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        // Which ask is answered now on this connection; a browser asks for other things too.
        let asked = Mutex::new(None);
        tokio::select! {
            () = self.pass_questions(from_client, to_server, &asked) => {}
            () = self.pass_answers(from_server, to_client, &asked) => {}
            _ = cuts.changed() => {}
        }
    }

    async fn pass_questions(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: &Mutex<Option<usize>>) {
        let mut piece = vec![0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let text = String::from_utf8_lossy(&piece[..length]);
            // A client sends a head in one piece.
            *asked.lock().unwrap() =
                ["GET /events", "HEAD /events"].iter().any(|ask| text.starts_with(ask)).then(|| {
                    let ask = Ask { at: Instant::now(), head: text.into_owned(), answer: String::new() };
                    self.asks.send_modify(|asks| asks.push(ask));
                    self.asks.borrow().len() - 1
                });
            if to.write_all(&piece[..length]).await.is_err() {
                return;
            }
        }
    }

    async fn pass_answers(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: &Mutex<Option<usize>>) {
        let mut piece = vec![0; 16 << 10];
        let mut held = self.held.subscribe();
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            held.wait_for(|held| !held).await.unwrap();
            if to.write_all(&piece[..length]).await.is_err() {
                return;
            }
            if let Some(asked) = *asked.lock().unwrap() {
                self.asks.send_if_modified(|asks| {
                    let ask = &mut asks[asked];
                    let more = ask.answer.len() < BEGINNING;
                    if more {
                        ask.answer.push_str(&String::from_utf8_lossy(&piece[..length]));
                    }
                    more
                });
            }
        }
    }
}
