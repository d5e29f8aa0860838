//! The connection by which a node asks Redis to count; also what breaks the circuit.
//!
//! It is not the log's. An answer is worth waiting for a second and no longer, while an append may take
//! seconds and holds up whatever is behind it; and a connection that is given up here must not take the log's with it.
//!
//! One who asks never connects: that is done beside it, again and again while Redis is away, and meanwhile whoever
//! asks is told at once that it is. So a Redis that stalls delays only those who were under way.

use std::time::Duration;

use redis::Script;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    broker::redis::{connection::Connection, primary::Route, refused::broken},
    limits::counts::Away,
};

/// How long a connection may take to show that Redis answers.
const GREETING: Duration = Duration::from_secs(2);

/// A connection that comes and goes.
pub struct Link {
    route: Route,
    /// What Redis is asked to run.
    scripts: [&'static Script; 3],
    state: watch::Sender<State>,
    wanted: Notify,
}

#[derive(Clone)]
enum State {
    /// There is none yet, or it has ended: worth waiting a moment for.
    Coming,
    Up(u64, Connection),
    /// Redis does not answer.
    Down,
}

impl Link {
    pub fn new(route: Route, scripts: [&'static Script; 3]) -> Self {
        Self { route, scripts, state: watch::Sender::new(State::Coming), wanted: Notify::new() }
    }

    /// Someone is going to ask.
    pub fn want(&self) {
        self.wanted.notify_one();
    }

    /// The connection and its number, once there is one.
    pub async fn get(&self) -> Result<(u64, Connection), Away> {
        let mut states = self.state.subscribe();
        loop {
            match &*states.borrow_and_update() {
                State::Up(number, connection) => return Ok((*number, connection.clone())),
                State::Down => return Err(Away),
                State::Coming => self.wanted.notify_one(),
            }
            states.changed().await.map_err(|_| Away)?;
        }
    }

    /// A connection has ended: another one may come about at once.
    pub fn ended(&self, number: u64) {
        self.state.send_if_modified(|state| replace(state, number, State::Coming));
        self.wanted.notify_one();
    }

    /// There was no answer in time, on whichever connection.
    pub fn silent(&self) {
        self.state.send_if_modified(|state| !matches!(std::mem::replace(state, State::Down), State::Down));
        self.wanted.notify_one();
    }

    /// Connects whenever that is wanted, for ever.
    pub async fn keep(&self) {
        let mut number = 0;
        let mut tries = 0;
        loop {
            if matches!(&*self.state.borrow(), State::Up(..)) || tries == 0 {
                self.wanted.notified().await;
            }
            if matches!(&*self.state.borrow(), State::Up(..)) {
                continue;
            }
            match self.connect().await {
                Ok(connection) => {
                    if tries > 0 {
                        info!("Redis counts again");
                    }
                    number += 1;
                    tries = 0;
                    self.state.send_replace(State::Up(number, connection));
                }
                Err(error) => {
                    if tries == 0 {
                        warn!(%error, "Redis does not count; rateLimits.whenRedisIsAway says what holds meanwhile");
                    }
                    tries += 1;
                    self.state.send_replace(State::Down);
                    sleep(pause(tries)).await;
                }
            }
        }
    }

    /// A connection on which Redis has answered, as one that is stopped or overloaded still accepts; and which it
    /// knows the scripts of, so that whoever asks first needs no round trips for that.
    async fn connect(&self) -> Result<Connection, String> {
        let connecting = async {
            let mut connection = self.route.connect(GREETING).await.map_err(|error| error.to_string())?;
            for script in self.scripts {
                let loaded = script.prepare_invoke().load_async(&mut connection).await;
                loaded.map_err(|error| broken(error).to_string())?;
            }
            Ok(connection)
        };
        timeout(GREETING, connecting).await.unwrap_or_else(|_| Err("there is no answer".into()))
    }
}

fn replace(state: &mut State, number: u64, by: State) -> bool {
    let same = matches!(state, State::Up(current, _) if *current == number);
    if same {
        *state = by;
    }
    same
}

/// From 50 ms to 1 s.
fn pause(tries: u32) -> Duration {
    let millis = (25_u64 << tries.min(6)).min(1000);
    Duration::from_millis(fastrand::u64(millis / 2..=millis))
}
