//! Adding events. A single event is one XADD, so that many publishers share the connection's pipeline;
//! several are a transaction; what must happen once is a script.

use std::{sync::LazyLock, time::Duration};

use redis::{Cmd, Pipeline, RedisError, Script};
use ssefleet_crds::part::Part;
use ssefleet_crds::validated::Confirm;
use tokio::time;

use super::{ANSWER, Connection, Redis, broken, entry, link::Shared};
use crate::{
    broker::{Appended, BrokerError, Extent, Once, REMEMBERED},
    event::{NewEvent, Position},
};

/// How long it is waited before a Cluster is asked again where the log is.
const MOVING: Duration = Duration::from_millis(100);

static ONCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("append.lua")));

impl Redis {
    /// Tries until it meets a log that is there. The first try may find that the log began anew, once; more
    /// than that is not a log.
    pub(super) async fn append_batch(&self, batch: &[NewEvent]) -> Result<Vec<Position>, BrokerError> {
        for _ in 0..3 {
            let epoch = self.settled_epoch().await?;
            if let Some(positions) = self.append_to(epoch, batch).await? {
                return Ok(positions);
            }
            self.open_shared().await?;
        }
        Err(BrokerError::Unstable)
    }

    /// As `append_batch`, by way of a memo that all nodes share.
    pub(super) async fn append_memo(&self, once: &Once, batch: &[NewEvent]) -> Result<Appended, BrokerError> {
        for _ in 0..3 {
            let epoch = self.settled_epoch().await?;
            if let Some(appended) = self.append_once_to(epoch, once, batch).await? {
                return Ok(appended);
            }
            self.open_shared().await?;
        }
        Err(BrokerError::Unstable)
    }

    /// The epoch to append to: that of a log which was opened under this very Redis process, and in which
    /// every node has had the time to say what it has seen.
    async fn settled_epoch(&self) -> Result<u64, BrokerError> {
        loop {
            self.run_on(self.writing(), Confirm::NONE, async |_| Ok(())).await?;
            let (epoch, until) = {
                let seen = self.seen.lock();
                (seen.last.epoch, seen.settled)
            };
            match until {
                Some(until) if until > time::Instant::now() => time::sleep_until(until).await,
                _ => return Ok(epoch),
            }
        }
    }

    /// All of the batch or none of it; none if there is no stream or it is of another epoch by now.
    async fn append_to(&self, epoch: u64, batch: &[NewEvent]) -> Result<Option<Vec<Position>>, BrokerError> {
        let added = if let [new] = batch {
            let xadd = self.xadd(epoch, new);
            let query = async |connection: &mut Connection| xadd.query_async(connection).await;
            self.write(query).await.map(|id: Option<String>| vec![id])
        } else {
            let mut pipeline = Pipeline::with_capacity(batch.len());
            pipeline.atomic();
            for new in batch {
                pipeline.add_command(self.xadd(epoch, new));
            }
            self.write(async |connection| pipeline.query_async::<Vec<Option<String>>>(connection).await).await
        };
        match added {
            Ok(ids) => {
                let positions = ids.into_iter().map(|id| id.map(|id| entry::position(&self.key, &id)).transpose());
                let positions: Option<Vec<_>> = positions.collect::<Result<_, _>>()?;
                // What was acknowledged must not be given again, even if a crash takes it away right now.
                positions.iter().flatten().last().into_iter().for_each(|last| self.saw(*last));
                Ok(positions)
            }
            // The epoch is older than the newest entry's: the log began anew since.
            Err(BrokerError::Refused(error)) if error.to_string().contains("equal or smaller") => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn xadd(&self, epoch: u64, new: &NewEvent) -> Cmd {
        let mut xadd = redis::cmd("XADD");
        xadd.arg(&self.key).arg("NOMKSTREAM").arg("MAXLEN").arg("~").arg(self.retention().events);
        xadd.arg(format!("{epoch}-*"));
        for word in entry::words(new, self.clock.now()) {
            xadd.arg(word);
        }
        xadd
    }

    async fn append_once_to(
        &self,
        epoch: u64,
        once: &Once,
        batch: &[NewEvent],
    ) -> Result<Option<Appended>, BrokerError> {
        let mut script = ONCE.key(&self.key);
        script.key(self.beside(&format!("once:{}", once.key)));
        script.arg(epoch).arg(self.retention().events).arg(&once.fingerprint).arg(REMEMBERED.as_millis().to_string());
        let at = self.clock.now();
        for new in batch {
            let words = entry::words(new, at);
            script.arg(words.len());
            for word in words {
                script.arg(word);
            }
        }
        let said: Vec<String> = self.write(async |connection| script.invoke_async(connection).await).await?;
        let positions = |first: &str, last: &str| -> Result<Vec<Position>, BrokerError> {
            let (first, last) = (entry::position(&self.key, first)?, entry::position(&self.key, last)?);
            self.saw(last);
            Ok((first.seq..=last.seq).map(|seq| Position { seq, ..first }).collect())
        };
        match &said.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["stored", first, last] => Ok(Some(Appended::Stored(positions(first, last)?))),
            ["replayed", first, last] => Ok(Some(Appended::Replayed(positions(first, last)?))),
            ["conflict"] => Ok(Some(Appended::Conflict)),
            ["gone"] => Ok(None),
            other => Err(entry::not_ours(&self.key, format!("append.lua said {other:?}"))),
        }
    }

    /// Opens the log on the shared connection, whether that is new or not.
    pub(super) async fn open_shared(&self) -> Result<Extent, BrokerError> {
        self.run(async |connection| self.open_on(connection).await).await
    }

    /// Waits until what was read on the shared connection is confirmed by replicas.
    pub(super) async fn settle_reads(&self) -> Result<(), BrokerError> {
        let (number, connection) = self.connection(&self.shared).await?;
        let confirming = self.read_is_confirmed(&connection).await;
        confirming.inspect_err(|error| self.shared.forget_if(error, number))
    }

    /// Returns when replicas have what was read on a connection.
    pub(super) async fn read_is_confirmed(&self, connection: &Connection) -> Result<(), BrokerError> {
        connection.read_is_confirmed(&self.beside("confirmed"), self.wanted(), ANSWER).await
    }

    /// Runs commands on the shared connection.
    pub(super) async fn run<T>(
        &self,
        commands: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError> + Clone,
    ) -> Result<T, BrokerError> {
        self.run_on(&self.shared, Confirm::NONE, commands).await
    }

    /// Runs commands that write events, and waits until replicas have these.
    async fn write<T>(
        &self,
        commands: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError> + Clone,
    ) -> Result<T, BrokerError> {
        self.run_on(self.writing(), self.wanted(), commands).await
    }

    fn writing(&self) -> &Shared {
        if self.wanted().replicas > 0 { &self.appends } else { &self.shared }
    }

    /// A connection that is new opens the log before anything else: the Redis at its other end may have lost what this
    /// node has seen. While a Cluster moves the log from node to node, it is waited for.
    async fn run_on<T>(
        &self,
        link: &Shared,
        confirm: Confirm,
        commands: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError> + Clone,
    ) -> Result<T, BrokerError> {
        let begun = time::Instant::now();
        loop {
            let error = match self.connection(link).await {
                Ok((number, connection)) => {
                    // Who comes while a WAIT runs is answered after it.
                    let mut patient = connection.patient(ANSWER + confirm.timeout);
                    let done = match commands.clone()(&mut patient).await.map_err(broken) {
                        Ok(done) => connection.confirmed(confirm, ANSWER).await.map(|()| done),
                        Err(error) => Err(error),
                    };
                    match done {
                        Ok(done) => return Ok(done),
                        Err(error) => {
                            link.forget_if(&error, number);
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            if error.part() != Part::Cluster || begun.elapsed() > ANSWER {
                return Err(error);
            }
            time::sleep(MOVING).await;
        }
    }

    async fn connection(&self, link: &Shared) -> Result<(u64, Connection), BrokerError> {
        link.get(async |connection| self.open_on(connection).await.map(drop).map_err(broken)).await
    }
}
